package lead

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var at = time.Date(2026, 3, 4, 9, 26, 30, 123456789, time.FixedZone("CET", 3600))

func cleaned(pairs ...string) Clean {
	c := Clean{Verdict: Accepted, Fields: map[string]Field{}}
	for i := 0; i < len(pairs); i += 2 {
		c.Fields[pairs[i]] = Field{Value: pairs[i+1], Raw: pairs[i+1]}
	}
	return c
}

func TestFoundingTakesEverything(t *testing.T) {
	c := cleaned("email", "anna@example.com")
	c.Fields["country"] = Field{Value: "DE", Raw: "germany", Note: "name"}
	c.Fields["title"] = Field{}
	c.Extra = map[string]any{"utm": "x"}
	utc := time.Date(2026, 3, 4, 8, 26, 30, 123456000, time.UTC)
	want := map[string]Field{
		"email":   {Value: "anna@example.com", Source: "web", Intake: 7, At: utc},
		"country": {Value: "DE", Raw: "germany", Note: "name", Source: "web", Intake: 7, At: utc},
	}

	l, took := Absorb(Lead{ID: 7}, c, Origin{Source: "web", Intake: 7, At: at})

	if d := cmp.Diff(Lead{ID: 7, Fields: want, Extra: c.Extra, Submissions: 1}, l); d != "" {
		t.Errorf("lead (-want +got):\n%s", d)
	}
	if d := cmp.Diff(Absorbed{Filled: want, ExtraFilled: c.Extra}, took); d != "" {
		t.Errorf("absorbed (-want +got):\n%s", d)
	}
}

func TestSecondSubmissionFillsAndKeeps(t *testing.T) {
	first := cleaned("email", "anna@example.com", "company", "Example Widgets Ltd")
	first.Extra = map[string]any{"utm": "one", "answer": nil}
	second := cleaned("email", "anna@example.com", "company", "Muster GmbH", "city", "Leeds")
	second.Extra = map[string]any{"utm": "two", "answer": 1, "page": "/b"}
	l, _ := Absorb(Lead{}, first, Origin{Source: "web", Intake: 1, At: at})
	before, _ := json.Marshal(l)

	got, took := Absorb(l, second, Origin{Source: "fair", Intake: 2, At: at})

	for field, want := range map[string]string{"email": "anna@example.com", "company": "Example Widgets Ltd", "city": "Leeds"} {
		if got.Value(field) != want {
			t.Errorf("%s = %q, want %q", field, got.Value(field), want)
		}
	}
	if f := got.Fields["company"]; f.Source != "web" || f.Intake != 1 {
		t.Errorf("company comes from %s/%d, want web/1", f.Source, f.Intake)
	}
	if f := got.Fields["city"]; f.Source != "fair" || f.Intake != 2 {
		t.Errorf("city comes from %s/%d, want fair/2", f.Source, f.Intake)
	}
	if d := cmp.Diff(map[string]any{"utm": "one", "answer": nil, "page": "/b"}, got.Extra); d != "" {
		t.Errorf("extra (-want +got):\n%s", d)
	}
	if len(took.Filled) != 1 || took.Filled["city"].Value != "Leeds" {
		t.Errorf("filled = %v, want the city", took.Filled)
	}
	if len(took.Kept) != 1 || took.Kept["company"].Value != "Muster GmbH" || took.Kept["company"].Intake != 2 {
		t.Errorf("kept = %v, want the other company with its origin", took.Kept)
	}
	if got.Submissions != 2 {
		t.Errorf("submissions = %d, want 2", got.Submissions)
	}
	if after, _ := json.Marshal(l); string(after) != string(before) {
		t.Errorf("the argument was changed:\n%s\n%s", before, after)
	}
}

func TestFieldsRoundTripThroughJSON(t *testing.T) {
	c := cleaned("email", "anna@example.com", "city", "Łódź")
	c.Fields["phone"] = Field{Value: "+442079460123", Raw: "020 7946 0123", Note: "country"}
	l, _ := Absorb(Lead{}, c, Origin{Source: "web", Intake: 1, At: at})
	text, err := json.Marshal(l.Fields)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]Field
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(l.Fields, got); d != "" {
		t.Errorf("after %s (-want +got):\n%s", text, d)
	}
}

// FuzzAbsorb: what stands is never changed, nothing sent is lost, and a repeat changes only the count.
func FuzzAbsorb(f *testing.F) {
	f.Add("anna@example.com", "", "Leeds", "bernd@example.com", "Muster", "Leeds")
	f.Add("", "", "", "", "", "")
	f.Fuzz(func(t *testing.T, e1, c1, t1, e2, c2, t2 string) {
		one, two := cleaned("email", e1, "company", c1, "city", t1), cleaned("email", e2, "company", c2, "city", t2)
		l, _ := Absorb(Lead{}, one, Origin{Source: "a", Intake: 1, At: at})
		got, took := Absorb(l, two, Origin{Source: "b", Intake: 2, At: at})
		for name, standing := range l.Fields {
			if got.Fields[name] != standing {
				t.Errorf("%s changed from %v to %v", name, standing, got.Fields[name])
			}
		}
		for name, sent := range two.Fields {
			v := sent.Value
			if v != "" && v != got.Value(name) && v != took.Kept[name].Value {
				t.Errorf("%s %q is lost", name, v)
			}
		}
		again, none := Absorb(got, two, Origin{Source: "b", Intake: 3, At: at})
		if again.Submissions != 3 || len(none.Filled) != 0 || !cmp.Equal(again.Fields, got.Fields) {
			t.Errorf("a repeat changed %v to %v", got, again)
		}
	})
}
