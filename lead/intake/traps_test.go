package intake_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/leadmill/leadmill/lead"
	"github.com/leadmill/leadmill/lead/intake"
)

func TestAStartTokenCannotBeMadeUp(t *testing.T) {
	at := time.Date(2026, 3, 2, 9, 30, 0, 123e6, time.UTC)
	token := intake.StartToken("secret", at)
	if got, ok := intake.Started("secret", token); !ok || !got.Equal(at) {
		t.Errorf("Started = %s, %v, want %s", got, ok, at)
	}
	for _, other := range []string{"", ".", "1772443800123", "1" + token, token + "00", token[:len(token)-2], intake.StartToken("other", at)} {
		if _, ok := intake.Started("secret", other); ok {
			t.Errorf("Started took %q", other)
		}
	}
}

func TestATrapIsFilledByAnything(t *testing.T) {
	members, err := intake.Decode([]byte(`{"a":"x","b":" ","c":null,"d":0,"e":[]}`))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"a": true, "b": false, "c": false, "d": true, "e": true, "f": false, "": false} {
		if got := intake.Filled(members, name); got != want {
			t.Errorf("%q is filled: %v, want %v", name, got, want)
		}
	}
}

func TestInstructionsAreNoDataOfALead(t *testing.T) {
	got, reasons := intake.Parse([]byte(`{"_email":"bot@example.com","_gotcha":"x","_started":5,"email":"ada@example.com","shoe":38}`), nil)
	if got.Fields["email"] != "ada@example.com" || len(got.Extra) != 1 || len(reasons) != 0 {
		t.Errorf("got %+v, %v; want the fields without _", got, reasons)
	}
	mapped, _ := intake.Parse([]byte(`{"_mail":"ada@example.com"}`), intake.Mapping{"_mail": "email"})
	want := lead.Submission{Fields: map[string]string{"email": "ada@example.com"}, Extra: map[string]any{}}
	if diff := cmp.Diff(want, mapped); diff != "" {
		t.Errorf("a mapping overrules it (-want +got):\n%s", diff)
	}
}
