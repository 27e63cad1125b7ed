package match

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAssign(t *testing.T) {
	anna := Known{Lead: 1, Name: "Anna Alder", HasEmail: true}
	tests := []struct {
		promise string
		cs      []Candidate
		known   map[string]Known
		want    []Assignment
	}{
		{"a first submission founds a lead with its id",
			[]Candidate{{5, "e:a", "p:1", "Anna"}}, nil,
			[]Assignment{{Intake: 5, Lead: 5, New: true, Keys: []string{"e:a", "p:1"}}}},
		{"the e-mail matches, a new number is learnt",
			[]Candidate{{5, "e:a", "p:1", ""}}, map[string]Known{"e:a": anna},
			[]Assignment{{Intake: 5, Lead: 1, By: "email", Keys: []string{"p:1"}}}},
		{"the e-mail matches whatever the name is",
			[]Candidate{{5, "e:a", "", "Bernd Quist"}}, map[string]Known{"e:a": anna},
			[]Assignment{{Intake: 5, Lead: 1, By: "email"}}},
		{"the number matches with the same name, the second address is learnt",
			[]Candidate{{5, "e:b", "p:1", "ALDER, anna"}}, map[string]Known{"p:1": anna},
			[]Assignment{{Intake: 5, Lead: 1, By: "phone", Keys: []string{"e:b"}}}},
		{"the number matches where one side has no name",
			[]Candidate{{5, "e:b", "p:1", ""}}, map[string]Known{"p:1": anna},
			[]Assignment{{Intake: 5, Lead: 1, By: "phone", Keys: []string{"e:b"}}}},
		{"the number matches where the lead has no address",
			[]Candidate{{5, "e:b", "p:1", "Bernd Quist"}}, map[string]Known{"p:1": {Lead: 1, Name: "Anna Alder"}},
			[]Assignment{{Intake: 5, Lead: 1, By: "phone", Keys: []string{"e:b"}}}},
		{"another name and another address on one number is another person",
			[]Candidate{{5, "e:b", "p:1", "Bernd Quist"}}, map[string]Known{"p:1": anna},
			[]Assignment{{Intake: 5, Lead: 5, New: true, Keys: []string{"e:b"}, SharedPhone: 1}}},
		{"another name without an address on one number is another person too",
			[]Candidate{{5, "", "p:1", "Bernd Quist"}}, map[string]Known{"p:1": anna},
			[]Assignment{{Intake: 5, Lead: 5, New: true, SharedPhone: 1}}},
		{"e-mail wins over the number of another lead",
			[]Candidate{{5, "e:a", "p:2", "Anna Alder"}}, map[string]Known{"e:a": anna, "p:2": {Lead: 2, Name: "Bernd Quist"}},
			[]Assignment{{Intake: 5, Lead: 1, By: "email", SharedPhone: 2}}},
		{"without a key each is a lead of its own",
			[]Candidate{{5, "", "", "Anna"}, {6, "", "", "Anna"}}, nil,
			[]Assignment{{Intake: 5, Lead: 5, New: true}, {Intake: 6, Lead: 6, New: true}}},
		{"later candidates see the keys of earlier ones",
			[]Candidate{{5, "e:a", "", "Anna"}, {6, "e:a", "p:1", "Anna"}, {7, "", "p:1", "Anna"}}, nil,
			[]Assignment{
				{Intake: 5, Lead: 5, New: true, Keys: []string{"e:a"}},
				{Intake: 6, Lead: 5, By: "email", Keys: []string{"p:1"}},
				{Intake: 7, Lead: 5, By: "phone"}}},
		{"later candidates see the name and address an earlier one brought",
			[]Candidate{{5, "e:a", "p:1", "Anna Alder"}, {6, "e:b", "p:1", "Bernd Quist"}},
			map[string]Known{"p:1": {Lead: 1}},
			[]Assignment{
				{Intake: 5, Lead: 1, By: "phone", Keys: []string{"e:a"}},
				{Intake: 6, Lead: 6, New: true, Keys: []string{"e:b"}, SharedPhone: 1}}},
	}
	for _, tt := range tests {
		t.Run(tt.promise, func(t *testing.T) {
			if d := cmp.Diff(tt.want, Assign(tt.cs, tt.known)); d != "" {
				t.Errorf("Assign(%v, %v) (-want +got):\n%s", tt.cs, tt.known, d)
			}
		})
	}
}

func TestContradict(t *testing.T) {
	tests := []struct {
		a, b string
		want bool
	}{
		{"Anna Alder", "Bernd Quist", true},
		{"Anna Alder", "alder anna", false},
		{"Jürgen Grünwald", "JURGEN GRUNWALD", false},
		{"Yates-Browne", "Jack Browne", false},
		{"Anna", "", false},
		{"Anna", " - ", false},
		{"Łukasz", "Lukasz Wójcik", false},
	}
	for _, tt := range tests {
		if got := contradict(tt.a, tt.b); got != tt.want {
			t.Errorf("contradict(%q, %q) = %v, want %v", tt.a, tt.b, got, tt.want)
		}
	}
}

// FuzzAssign makes crowds with few keys and names, in any order and cut into batches, and holds what is promised of all.
func FuzzAssign(f *testing.F) {
	f.Add(uint64(1), uint8(50), uint8(3))
	f.Add(uint64(2), uint8(9), uint8(1))
	f.Fuzz(func(t *testing.T, seed uint64, n, variety uint8) {
		r := rand.New(rand.NewPCG(seed, 0))
		cs := crowd(r, int(n), int(variety%8)+1)
		r.Shuffle(len(cs), func(i, j int) { cs[i], cs[j] = cs[j], cs[i] })
		whole := Assign(cs, nil)
		checkWorld(t, cs, whole)
		cut := r.IntN(len(cs) + 1)
		if d := cmp.Diff(whole, inTwo(cs, cut)); d != "" {
			t.Errorf("one batch and two differ (-one +two):\n%s", d)
		}
	})
}

func crowd(r *rand.Rand, n, variety int) []Candidate {
	cs := make([]Candidate, n)
	for i := range cs {
		cs[i] = Candidate{Intake: int64(i + 1)}
		if r.IntN(4) > 0 {
			cs[i].EmailKey = fmt.Sprintf("e:%d", r.IntN(variety))
		}
		if r.IntN(3) > 0 {
			cs[i].PhoneKey = fmt.Sprintf("p:%d", r.IntN(variety))
		}
		if r.IntN(4) > 0 {
			cs[i].Name = []string{"Anna Alder", "Bernd Quist", "Anna", "Carla Alder"}[r.IntN(4)]
		}
	}
	return cs
}

// checkWorld: every e-mail has exactly one lead, every key is given once, and every lead was founded once.
func checkWorld(t *testing.T, cs []Candidate, as []Assignment) {
	t.Helper()
	byEmail, holder, founded := map[string]int64{}, map[string]int64{}, map[int64]bool{}
	for i, a := range as {
		c := cs[i]
		if a.Intake != c.Intake || a.New != (a.By == "") || a.New != (a.Lead == c.Intake) || a.SharedPhone == a.Lead {
			t.Errorf("%+v for %+v", a, c)
		}
		if founded[a.Lead] == a.New {
			t.Errorf("%+v: lead founded twice, or not at all", a)
		}
		founded[a.Lead] = true
		if lead, seen := byEmail[c.EmailKey]; c.EmailKey != "" && seen && lead != a.Lead {
			t.Errorf("%s has leads %d and %d", c.EmailKey, lead, a.Lead)
		}
		byEmail[c.EmailKey] = a.Lead
		for _, key := range a.Keys {
			if holder[key] != 0 {
				t.Errorf("%s given to %d and %d", key, holder[key], a.Lead)
			}
			holder[key] = a.Lead
		}
	}
}

// inTwo assigns in two batches, with what a database would know in between.
func inTwo(cs []Candidate, cut int) []Assignment {
	first := Assign(cs[:cut], nil)
	leads := map[int64]Known{}
	for i, a := range first {
		k := leads[a.Lead]
		k.Lead = a.Lead
		k.learn(cs[i].Name, cs[i].EmailKey != "")
		leads[a.Lead] = k
	}
	known := map[string]Known{}
	for _, a := range first {
		for _, key := range a.Keys {
			known[key] = leads[a.Lead]
		}
	}
	return append(first, Assign(cs[cut:], known)...)
}

// Several submissions of one address become one lead in whatever order they arrive.
func TestOrderOfArrivalDoesNotMatterForAnAddress(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 0))
	for range 500 {
		cs := crowd(r, 12, 3)
		r.Shuffle(len(cs), func(i, j int) { cs[i], cs[j] = cs[j], cs[i] })
		leads := map[string]map[int64]bool{}
		for i, a := range Assign(cs, nil) {
			if leads[cs[i].EmailKey] == nil {
				leads[cs[i].EmailKey] = map[int64]bool{}
			}
			leads[cs[i].EmailKey][a.Lead] = true
		}
		delete(leads, "")
		for key, of := range leads {
			if len(of) != 1 {
				t.Fatalf("%s has %d leads in %v, want 1", key, len(of), cs)
			}
		}
	}
}

func ExampleAssign() {
	known := map[string]Known{
		"e:anna@example.com": {Lead: 1, Name: "Anna Alder", HasEmail: true},
		"p:+442079460123":    {Lead: 1, Name: "Anna Alder", HasEmail: true},
	}
	for _, a := range Assign([]Candidate{
		{Intake: 10, EmailKey: "e:anna@example.com"},
		{Intake: 11, PhoneKey: "p:+442079460123", Name: "ANNA ALDER"},
		{Intake: 12, EmailKey: "e:bernd@example.com", PhoneKey: "p:+442079460123", Name: "Bernd Quist"},
	}, known) {
		fmt.Println(a.Intake, "belongs to", a.Lead, "by", a.By, a.Keys, a.SharedPhone)
	}
	// Output:
	// 10 belongs to 1 by email [] 0
	// 11 belongs to 1 by phone [] 0
	// 12 belongs to 12 by  [e:bernd@example.com] 1
}
