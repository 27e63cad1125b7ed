package hook

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/leadmill/leadmill/lead"
)

// decode reads a file of the shared test data, or skips.
func decode(t *testing.T, path string, v any) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../../shared/data/webhooks", path))
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("the shared test data is not here")
	}
	if err == nil {
		err = json.Unmarshal(text, v)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// reads checks what a payload becomes.
func reads(t *testing.T, format, payload string, fields map[string]string, extra map[string]any, test bool) {
	t.Helper()
	got, reasons := Read(format, []byte(payload))
	if diff := cmp.Diff(lead.Submission{Fields: fields, Extra: extra}, got); diff != "" || IsTest(reasons) != test {
		t.Errorf("Read(%s, %s) with reasons %v, want a test: %v (-want +got):\n%s", format, payload, reasons, test, diff)
	}
}

func TestWhatCannotBeReadIsMalformedInEveryFormat(t *testing.T) {
	for _, format := range append(Kinds, "", "other") {
		if s, reasons := Read(format, []byte(`[1]`)); len(reasons) != 1 || reasons[0].Code != "malformed" || s.Fields == nil {
			t.Errorf("Read(%q) = %+v with reasons %v, want malformed", format, s, reasons)
		}
	}
}

func TestAnotherFormatIsAPlainObject(t *testing.T) {
	reads(t, "", `{"E-Mail":"ada@example.com","data":1}`, map[string]string{"email": "ada@example.com"}, map[string]any{"data": json.Number("1")}, false)
}

func FuzzRead(f *testing.F) {
	f.Add(`{"lead_id":"a","is_test":true,"user_column_data":[{"column_id":"EMAIL","string_value":"a@b.c"},{"column_id":1},2,null]}`)
	f.Add(`{"change":{"leadgen_id":444444444444},"lead":{"id":"1","field_data":[{"name":"email","values":["a@b.c","d@e.f"]},{"values":[]},3]}}`)
	f.Add(`{"type":"lead","data":{"email":"a@b.c","type":"x","type 2":1}}`)
	f.Fuzz(func(t *testing.T, payload string) {
		for _, format := range Kinds {
			s, reasons := Read(format, []byte(payload))
			if s.Fields == nil || s.Extra == nil {
				t.Errorf("Read(%s, %q) = %+v, want maps", format, payload, s)
			}
			again, reasonsAgain := Read(format, []byte(payload))
			if diff := cmp.Diff(s, again) + cmp.Diff(reasons, reasonsAgain); diff != "" && utf8.ValidString(payload) {
				t.Errorf("Read(%s, %q) differs from itself:\n%s", format, payload, diff)
			}
		}
	})
}
