package score

import (
	"bufio"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/leadmill/leadmill/lead"
	"github.com/leadmill/leadmill/lead/match"
)

// leadOf makes a lead of name, value, name, value ...
func leadOf(pairs ...string) lead.Lead {
	l := lead.Lead{Fields: map[string]lead.Field{}, Submissions: 1}
	for i := 0; i < len(pairs); i += 2 {
		l.Fields[pairs[i]] = lead.Field{Value: pairs[i+1]}
	}
	return l
}

func part(t *testing.T, r Rating, name string) Part {
	t.Helper()
	for _, p := range r.Parts {
		if p.Name == name {
			return p
		}
	}
	t.Fatalf("no part %q in %v", name, r.Parts)
	return Part{}
}

func TestPoints(t *testing.T) {
	tests := []struct {
		part string
		lead lead.Lead
		want int
	}{
		{"email_domain", leadOf(), 0},
		{"email_domain", leadOf("email", "anna@widgets.example.com"), 24},
		{"email_domain", leadOf("email", "sample.anna@gmail.com"), 12},
		{"email_domain", leadOf("email", "sample.anna@YAHOO.co.uk"), 12},
		{"email_domain", leadOf("email", "sample.anna@yahoo.com.br"), 12},
		{"email_domain", leadOf("email", "sample.anna@yahoo.example.com"), 24},
		{"email_domain", leadOf("email", "sample.anna@notgmail.com"), 24},
		{"email_domain", leadOf("email", "sample.anna@mailinator.com"), 0},
		{"email_domain", leadOf("email", "sample.anna@box.mailinator.com"), 0},
		{"email_domain", leadOf("email", "sample@privaterelay.appleid.com"), 14},
		{"phone", leadOf("phone", "+442079460123"), 14},
		{"phone", leadOf("phone", "12 34"), 4},
		{"message", leadOf("message", "hello"), 4},
		{"message", leadOf("message", "I walked past your stand and liked the colours very much"), 7},
		{"message", leadOf("message", "Please send a quote."), 12},
		{"message", leadOf("message", "unquoted"), 4},
		{"message", leadOf("message", "Bitte Rückruf"), 12},
		{"message", leadOf("message", "Call after 5 pm"), 12},
		{"company", leadOf("company", "Example Widgets Ltd"), 10},
		{"title", leadOf("title", "Buyer"), 5},
		{"title", leadOf("title", "Sales Director, EMEA"), 10},
		{"title", leadOf("title", "Geschäftsführerin"), 10},
		{"title", leadOf("title", "Vice President"), 10},
		{"name", leadOf("name", "Anna"), 4},
		{"name", leadOf("name", "Anna Alder"), 8},
		{"name", leadOf("first_name", "Anna", "last_name", "Alder"), 8},
		{"place", leadOf("city", "Leeds"), 2},
		{"place", leadOf("country", "GB"), 4},
		{"place", leadOf("country", "GB", "postal_code", "LS1"), 6},
		{"website", leadOf("website", "https://example.com"), 4},
		{"consent", leadOf("consent", "Yes"), 4},
		{"consent", leadOf("consent", "no"), 0},
		{"consent", leadOf("consent", "no, not ok"), 0},
		{"repeat", lead.Lead{Submissions: 1}, 0},
		{"repeat", lead.Lead{Submissions: 2}, 5},
		{"repeat", lead.Lead{Submissions: 9}, 8},
	}
	for _, tt := range tests {
		got := part(t, Rate(tt.lead), tt.part)
		if got.Points != tt.want {
			t.Errorf("%s of %v, %d submissions = %d (%s), want %d", tt.part, tt.lead.Fields, tt.lead.Submissions, got.Points, got.Why, tt.want)
		}
	}
}

func TestMaximaSumToHundred(t *testing.T) {
	sum := 0
	for _, r := range rules {
		sum += r.max
	}
	if sum != 100 {
		t.Errorf("the maxima sum to %d, want 100", sum)
	}
	best := leadOf("email", "a@widgets.example.com", "phone", "+442079460123", "message", "quote", "company", "c",
		"title", "CEO", "name", "a b", "country", "GB", "city", "Leeds", "website", "w", "consent", "yes")
	best.Submissions = 3
	if got := Rate(best).Score; got != 100 {
		t.Errorf("the best lead has %d, want 100", got)
	}
	if got := Rate(lead.Lead{}).Score; got != 0 {
		t.Errorf("the zero lead has %d, want 0", got)
	}
}

// The lists are compared with folded text, so they must be folded themselves.
func TestListsAreFolded(t *testing.T) {
	for _, list := range []map[string]bool{intentWords, deciderWords, yesWords} {
		for word := range list {
			if folded := match.NameKey(word); folded != word {
				t.Errorf("%q is not folded, want %q", word, folded)
			}
		}
	}
	for _, phrase := range append(intentPhrases, deciderPhrases...) {
		if folded := match.NameKey(phrase); folded != phrase {
			t.Errorf("%q is not folded, want %q", phrase, folded)
		}
	}
}

// check holds what is promised of every rating.
func check(t *testing.T, l lead.Lead) Rating {
	t.Helper()
	r := Rate(l)
	sum := 0
	for i, p := range r.Parts {
		sum += p.Points
		if p.Points < 0 || p.Points > p.Max || p.Why == "" || p.Name != rules[i].name || p.Max != rules[i].max {
			t.Errorf("part %+v of %v", p, l.Fields)
		}
	}
	if sum != r.Score || r.Score < 0 || r.Score > 100 {
		t.Errorf("score %d, parts sum to %d: %v", r.Score, sum, l.Fields)
	}
	return r
}

// FuzzFillingNeverLowers fills one empty field and looks at the score before and after.
func FuzzFillingNeverLowers(f *testing.F) {
	f.Add(uint16(0b101), uint8(0), "a@mailinator.com")
	f.Add(uint16(0xffff), uint8(11), "not now")
	f.Add(uint16(0), uint8(4), "Anna Alder")
	f.Add(uint16(8), uint8(1), "+442079460123")
	f.Fuzz(func(t *testing.T, has uint16, fill uint8, value string) {
		l := leadOf()
		l.Submissions = int(fill) % 4
		for i, name := range lead.FieldNames {
			if has&(1<<i) != 0 {
				l.Fields[name] = lead.Field{Value: "x@example.com " + value}
			}
		}
		name := lead.FieldNames[int(fill)%len(lead.FieldNames)]
		delete(l.Fields, name)
		before := check(t, l)
		l.Fields[name] = lead.Field{Value: value}
		after := check(t, l)
		if after.Score < before.Score {
			t.Errorf("filling %s with %q lowers the score from %d to %d", name, value, before.Score, after.Score)
		}
	})
}

// The reasons are shown to everybody, so they are fixed sentences.
func TestWhyHoldsNoValue(t *testing.T) {
	whys := map[string]bool{}
	for _, value := range []string{"Zebulon", "zebulon@zebulon.example.com", "+442079460123", ""} {
		l := leadOf()
		for _, name := range lead.FieldNames {
			l.Fields[name] = lead.Field{Value: value}
		}
		for _, p := range Rate(l).Parts {
			whys[p.Why] = true
		}
	}
	for why := range maps.Keys(whys) {
		if strings.Contains(strings.ToLower(why), "zebulon") || strings.ContainsAny(why, "+@0123456789") {
			t.Errorf("%q tells about the person", why)
		}
	}
}

// Our lists are short and written by hand; every domain that the big public
// lists know as well has to be of the same kind there.
func TestListsAgreeWithPublicOnes(t *testing.T) {
	public := map[kind]map[string]bool{
		freeMail:   readList(t, "freemail.txt"),
		disposable: readList(t, "disposable.txt"),
	}
	for domain := range public[disposable] {
		delete(public[freeMail], domain)
	}
	for domain, k := range domains {
		for other, list := range public {
			if list[domain] && other != k {
				t.Errorf("%s is of kind %d here, %d in the public list", domain, k, other)
			}
		}
	}
	for k, list := range public {
		found := 0
		for domain := range list {
			if kindOf("a@"+domain) == k {
				found++
			}
		}
		t.Logf("kind %d: %d of %d domains of the public list are known", k, found, len(list))
	}
}

func readList(t *testing.T, name string) map[string]bool {
	t.Helper()
	f, err := os.Open(filepath.Join("..", "..", "..", "shared", "data", "domains", name))
	if err != nil {
		t.Skipf("the public lists are not here: %v", err)
	}
	defer f.Close()
	lines := map[string]bool{}
	for s := bufio.NewScanner(f); s.Scan(); {
		lines[strings.TrimSpace(s.Text())] = true
	}
	return lines
}

func ExampleRate() {
	l := lead.Lead{Submissions: 1, Fields: map[string]lead.Field{
		"email":   {Value: "anna.alder@widgets.example.com"},
		"title":   {Value: "Head of Purchasing"},
		"message": {Value: "Please send a quote."},
	}}
	r := Rate(l)
	fmt.Println(r.Score)
	for _, p := range r.Parts[:3] {
		fmt.Printf("%s %d/%d %s\n", p.Name, p.Points, p.Max, p.Why)
	}
	// Output:
	// 46
	// email_domain 24/24 The e-mail address is at a domain that is no mail provider's.
	// phone 0/14 There is no telephone number.
	// message 12/12 The message asks for something a buyer asks for.
}
