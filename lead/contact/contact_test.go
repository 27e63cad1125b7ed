package contact_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/leadmill/leadmill/lead"
	"github.com/leadmill/leadmill/lead/contact"
	"github.com/leadmill/leadmill/lead/intake"
)

func TestEmail(t *testing.T) {
	for raw, want := range map[string]string{
		"Ada@Example.com":                  "ada@example.com",
		"  ada@example.com\u00a0":          "ada@example.com",
		"Ada Lovelace <ADA@example.com>":   "ada@example.com",
		"mailto:ada@example.com":           "ada@example.com",
		"ada+news@example.com":             "ada+news@example.com",
		"ａｄａ＠ｅｘａｍｐｌｅ．ｃｏｍ":                  "ada@example.com",
		"ada@MÜNCHEN.example.de":           "ada@xn--mnchen-3ya.example.de",
		"josé@example.com":                 "josé@example.com",
		"o'brien@example.co.uk":            "o'brien@example.co.uk",
		"ada.example.com":                  "no_at",
		"ada(at)example.com":               "no_at",
		"a@b@example.com":                  "two_at",
		"@example.com":                     "no_local_part",
		"ada@ ":                            "no_domain",
		"ada@localhost":                    "reserved_domain",
		"ada@example":                      "no_dot_in_domain",
		"ada..l@example.com":               "double_dot",
		"ada@example..com":                 "double_dot",
		".ada@example.com":                 "dot_at_start",
		"ada.@example.com":                 "dot_at_end",
		"ada l@example.com":                "space_inside",
		"ada@exam ple.com":                 "space_inside",
		"ada@example,com":                  "bad_character",
		"ada[@example.com":                 "bad_character",
		`"ada"@example.com`:                "bad_character",
		"ada\uFFFD@example.com":            "bad_character",
		"ada@-example.com":                 "bad_domain",
		"ada@example.123":                  "bad_domain",
		"ada@[127.0.0.1]":                  "bad_character",
		"ada@printer.local":                "reserved_domain",
		strings.Repeat("a", 65) + "@x.com": "address_too_long",
	} {
		address, code := contact.Email(raw)
		if got := address + code; got != want {
			t.Errorf("Email(%q) = %q, want %q", raw, got, want)
		}
	}
}

func TestEmailKeyDropsTheTag(t *testing.T) {
	for address, want := range map[string]string{
		"ada+a+b@example.com": "e:ada@example.com", "a.d.a@example.com": "e:a.d.a@example.com", "+x@example.com": "e:+x@example.com",
	} {
		if got := contact.EmailKey(address); got != want {
			t.Errorf("EmailKey(%s) = %s, want %s", address, got, want)
		}
	}
}

func TestPhone(t *testing.T) {
	for _, c := range []struct{ raw, country, want string }{
		{"020 7946 0123", "GB", "+442079460123 true"},
		{"+44 (0)20 7946 0123", "", "+442079460123 true"},
		{"0044 20 7946 0123", "", "+442079460123 true"},
		{"030/23125038", "DE", "+493023125038 true"},
		{"p:+493023125038", "US", "+493023125038 true"},
		{"'+493023125038", "US", "+493023125038 true"},
		{"030 23125038; 0171 1234567", "DE", "+493023125038 true"},
		{"none or 020 7946 0123", "GB", "+442079460123 true"},
		{"+44 7700 900025", "GB", "+447700900025 false"},
		{"4.47911E+11", "GB", "spreadsheet_number"},
		{"020 7946 0123", "", "no_country"},
		{"call me", "GB", "unreadable"},
		{"12", "GB", "unreadable"},
	} {
		n, code := contact.Phone(c.raw, c.country)
		got := code
		if code == "" {
			got = fmt.Sprint(n.E164, " ", n.Valid)
		}
		if got != c.want {
			t.Errorf("Phone(%q, %q) = %q, want %q", c.raw, c.country, got, c.want)
		}
	}
}

func TestPersonName(t *testing.T) {
	for raw, want := range map[string]string{
		"ada lovelace": "Ada Lovelace", "ADA LOVELACE": "Ada Lovelace", "Ada LoveLace": "Ada LoveLace", "SEAN O'BRIEN": "Sean O'Brien",
		"jean-luc picard": "Jean-Luc Picard", "ronald mcdonald": "Ronald McDonald", "LUDWIG VAN BEETHOVEN": "Ludwig van Beethoven",
		"van gogh": "Van Gogh", "ÉMILE ZOLA": "Émile Zola", "美咲 見本": "美咲 見本", "j.r.r. tolkien": "J.R.R. Tolkien", "": "",
	} {
		if got := contact.PersonName(raw); got != want {
			t.Errorf("PersonName(%q) = %q, want %q", raw, got, want)
		}
	}
}

func TestSplitName(t *testing.T) {
	for name, want := range map[string]string{
		"Ada Lovelace": "Ada|Lovelace", "Lovelace, Ada": "Ada|Lovelace", "Ludwig van Beethoven": "Ludwig|van Beethoven",
		"Plato": "Plato|", "Ada King Lovelace": "Ada King|Lovelace",
	} {
		first, last := contact.SplitName(name)
		if got := first + "|" + last; got != want {
			t.Errorf("SplitName(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestCountry(t *testing.T) {
	for raw, want := range map[string]string{
		"DE": "DE", "deu": "DE", "Germany": "DE", "germany": "DE", "Deutschland": "DE", "Allemagne": "DE", "UK": "GB", "U.K.": "GB",
		"United Kingdom": "GB", "England": "GB", "U.S.A.": "US", "The Netherlands": "NL", "Österreich": "AT", "Schweiz": "CH",
		"España": "ES", "Ireland": "IE", "Sverige": "SE", "日本": "JP", "Atlantis": "", "": "", "EU": "", "XX": "",
	} {
		if got, _ := contact.Country(raw); got != want {
			t.Errorf("Country(%q) = %q, want %q", raw, got, want)
		}
	}
}

func TestTheVerdictAndItsReasons(t *testing.T) {
	for name, c := range map[string]struct {
		fields  map[string]string
		verdict lead.Verdict
		codes   string
	}{
		"e-mail":        {map[string]string{"email": "a@example.com"}, lead.Accepted, "[]"},
		"phone":         {map[string]string{"phone": "+442079460123"}, lead.Accepted, "[]"},
		"bad phone":     {map[string]string{"email": "a@example.com", "phone": "x"}, lead.Accepted, "[phone unreadable]"},
		"bad e-mail":    {map[string]string{"email": "a", "phone": "+442079460123"}, lead.Rejected, "[email no_at]"},
		"nothing":       {map[string]string{"name": "Ada"}, lead.Rejected, "[email no_contact]"},
		"link":          {map[string]string{"email": "a@example.com", "name": "win http://x.y"}, lead.Quarantined, "[name link_in_name]"},
		"damage":        {map[string]string{"email": "a@example.com", "name": "M\uFFFDller"}, lead.Quarantined, "[name damaged_text]"},
		"advertising":   {map[string]string{"email": "a@example.com", "message": strings.Repeat("http://x.y ", 4)}, lead.Quarantined, "[message many_links]"},
		"damaged text":  {map[string]string{"email": "a@example.com", "company": "M\uFFFDller"}, lead.Accepted, "[company damaged_text]"},
		"sheet error":   {map[string]string{"email": "a@example.com", "name": "#N/A", "phone": "#REF!", "city": " #VALUE! "}, lead.Accepted, "[city spreadsheet_error name spreadsheet_error phone spreadsheet_error]"},
		"no formula":    {map[string]string{"email": "#FORMULA!", "title": "#1 seller"}, lead.Rejected, "[email spreadsheet_error]"},
		"nowhere":       {map[string]string{"email": "a@example.com", "country": "Atlantis"}, lead.Accepted, "[country unknown_country]"},
		"own country":   {map[string]string{"phone": "030/23125038", "country": "Germany"}, lead.Accepted, "[]"},
		"its source's":  {map[string]string{"phone": "020 7946 0123"}, lead.Accepted, "[]"},
		"control chars": {map[string]string{"email": "a@example.com", "company": "a\x00b\x07"}, lead.Accepted, "[]"},
	} {
		got := contact.Normalise(lead.Submission{Fields: c.fields}, "GB")
		codes := []string{}
		for _, r := range got.Reasons {
			codes = append(codes, r.Field+" "+r.Code)
			if r.Message == "" {
				t.Errorf("%s: code %s has no sentence", name, r.Code)
			}
		}
		if got.Verdict != c.verdict || fmt.Sprint(codes) != c.codes {
			t.Errorf("%s: %s %v, want %s %s", name, got.Verdict, codes, c.verdict, c.codes)
		}
	}
}

func TestNamesAreDerivedFromEachOther(t *testing.T) {
	got := contact.Normalise(lead.Submission{Fields: map[string]string{"email": "a@example.com", "first_name": "ADA", "last_name": "LOVELACE"}}, "")
	if f := got.Fields["name"]; f.Value != "Ada Lovelace" || f.Note != "derived" {
		t.Errorf("name = %+v, want it derived", f)
	}
	got = contact.Normalise(lead.Submission{Fields: map[string]string{"email": "a@example.com", "name": "ada lovelace"}}, "")
	if f := got.Fields["last_name"]; f.Value != "Lovelace" || f.Note != "derived" {
		t.Errorf("last name = %+v, want it derived", f)
	}
}

func ExampleNormalise() {
	c := contact.Normalise(lead.Submission{Fields: map[string]string{
		"email": " Ada+news@Example.com", "phone": "020 7946 0123", "name": "ada lovelace", "country": "England",
	}}, "")
	fmt.Println(c.Verdict, c.EmailKey, c.PhoneKey, c.Fields["name"].Value, c.Fields["country"].Value)
	// Output: accepted e:ada@example.com p:+442079460123 Ada Lovelace GB
}

func open(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := os.Open(filepath.Join("../../../shared/data", path))
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("the shared test data is not here")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// stricter are the addresses of isemail that mail could reach and that we refuse all the same.
var stricter = map[int]string{
	5:  "test@io: a top level alone, where nobody has a mailbox",
	13: "test@iana.a: no top level has one letter",
	37: "a@a.b.c...: no top level has one letter",
}

func TestIsemail(t *testing.T) {
	var cases []struct {
		ID                int
		Address, Category string
	}
	if err := json.NewDecoder(open(t, "email/isemail.json")).Decode(&cases); err != nil {
		t.Fatal(err)
	}
	agreed := 0
	for _, c := range cases {
		want := c.Category == "ISEMAIL_VALID_CATEGORY" || c.Category == "ISEMAIL_DNSWARN"
		address, code := contact.Email(c.Address)
		// what people write around an address is taken off before it is judged: blanks, and the name before <>
		bare := c.Address == strings.TrimSpace(c.Address) && !strings.HasSuffix(c.Address, ">")
		got := code == "" && address != "" && bare
		_, known := stricter[c.ID]
		switch {
		case got == want:
			agreed++
		case got:
			t.Errorf("case %d, %s, is accepted", c.ID, c.Category)
		case !known:
			t.Errorf("case %d, %s, is refused with %s", c.ID, c.Category, code)
		}
	}
	if len(cases) != 164 || agreed != len(cases)-len(stricter) || agreed*100 < 98*len(cases) {
		t.Errorf("%d of %d cases agree, want all but %d, and 98 %% of 164", agreed, len(cases), len(stricter))
	}
}

func TestTheSampleComesOutExactly(t *testing.T) {
	var expected struct {
		Answers struct{ Rows [][]any }
	}
	if err := json.NewDecoder(open(t, "leads/sample-500.expected.json")).Decode(&expected); err != nil {
		t.Fatal(err)
	}
	file := open(t, "leads/sample-500.csv")
	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	rows, err := intake.Open(file, info.Size(), intake.Options{})
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string]bool{}
	valid := 0
	for n, want := range expected.Answers.Rows {
		cells, err := rows.Next()
		if err != nil {
			t.Fatal(err)
		}
		s, _ := intake.Parse(intake.RowPayload(rows.Header(), cells), nil)
		c := contact.Normalise(s, "")
		key, _ := want[1].(string)
		e164, _ := want[2].(string)
		if got := strings.TrimPrefix(c.EmailKey, "e:"); got != key || (c.Verdict == lead.Accepted) != (key != "") {
			t.Errorf("row %d: key %q and %s, want key %q", n+1, got, c.Verdict, key)
		}
		if got := c.Fields["phone"].Value; got != e164 {
			t.Errorf("row %d: phone %q, want %q", n+1, got, e164)
		}
		if ok, _ := want[3].(bool); ok != (c.PhoneKey != "") {
			t.Errorf("row %d: phone key %q, want valid %v", n+1, c.PhoneKey, ok)
		}
		if key != "" {
			valid++
			keys[key] = true
		}
	}
	if valid != 480 || len(keys) != 420 {
		t.Errorf("%d valid rows of %d people, want 480 of 420", valid, len(keys))
	}
}

func FuzzNormalise(f *testing.F) {
	f.Add("Ada@Example.com", "020 7946 0123", "ADA o'BRIEN", "Germany", "a\x00b")
	f.Fuzz(func(t *testing.T, email, phone, name, country, company string) {
		fields := map[string]string{"email": email, "phone": phone, "name": name, "country": country, "company": company, "message": company}
		once := contact.Normalise(lead.Submission{Fields: fields}, "GB")
		again := map[string]string{}
		for field, v := range once.Fields {
			if !utf8.ValidString(v.Value+v.Raw) || strings.ContainsRune(v.Value+v.Raw, 0) {
				t.Errorf("%s of %q = %+v cannot be stored", field, fields, v)
			}
			again[field] = v.Value
		}
		twice := contact.Normalise(lead.Submission{Fields: again}, "GB")
		for _, field := range []string{"email", "phone", "country", "company", "message"} {
			if a, b := once.Fields[field].Value, twice.Fields[field].Value; a != b && !slices.Contains([]string{""}, a) {
				t.Errorf("%s %q becomes %q when it is cleaned again", field, a, b)
			}
		}
	})
}
