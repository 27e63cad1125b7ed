package hook

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/leadmill/leadmill/lead/intake"
)

func TestALeadOfGoogleBecomesFields(t *testing.T) {
	reads(t, Google, `{"lead_id":"TGVhZA","google_key":"","form_id":9007199254740993,"city":"not of the person","is_test":false,"user_column_data":[
			{"column_id":"WORK_EMAIL","string_value":"ada@work.example.com"},{"column_id":"EMAIL","column_name":"City","string_value":"ada@example.com"},
			{"column_id":"FULL_NAME","string_value":"Ada Beispiel"},{"column_id":"PHONE_NUMBER","string_value":"+442079460123"},
			{"column_id":"COMPANY_NAME","string_value":"Beispiel & Co"},{"column_id":"JOB_TITLE","string_value":"Head"},{"column_id":"CITY","string_value":"Ulm"},
			{"column_id":"POSTAL_CODE","string_value":"89073"},{"column_id":"COUNTRY","string_value":"DE"},
			{"column_id":"which_size?","string_value":"L"},{"column_id":"which_size?","string_value":"XL"},{"column_name":"No id","string_value":"x"},
			{"string_value":"y"},{"column_id":"later","list_value":["z"]},"odd"]}`,
		map[string]string{"email": "ada@example.com", "name": "Ada Beispiel", "phone": "+442079460123", "company": "Beispiel & Co", "title": "Head",
			"city": "Ulm", "postal_code": "89073", "country": "DE"},
		map[string]any{"lead_id": "TGVhZA", "form_id": json.Number("9007199254740993"), "city": "not of the person", "is_test": false, "WORK_EMAIL": "ada@work.example.com",
			"which_size?": "L", "which_size? 2": "XL", "No id": "x", "column_13": "y", "column_15": "odd",
			"later": map[string]any{"column_id": "later", "list_value": []any{"z"}}}, false)
	reads(t, Google, `{"lead_id":"a","is_test":true,"user_column_data":[{"column_id":"FIRST_NAME","string_value":"Zoë"},{"column_id":"LAST_NAME","string_value":"Muster"}]}`,
		map[string]string{"first_name": "Zoë", "last_name": "Muster"}, map[string]any{"lead_id": "a", "is_test": true}, true)
}

func TestANameRepeatedWithoutEndHoldsNobodyUp(t *testing.T) {
	raw := `{"lead_id":"a","user_column_data":[` + strings.Repeat(`{"column_id":"a","string_value":"x"},`, 100_000) + `{}]}`
	if _, reasons := Read(Google, []byte(raw)); len(reasons) != 1 || reasons[0].Code != "malformed" {
		t.Errorf("a hundred thousand columns of one name are %v, want them malformed", reasons)
	}
}

func TestTheKeyOfGoogleIsStoredNowhere(t *testing.T) {
	for raw, want := range map[string]string{
		`{"google_key":"s3cret","lead_id":"a"}`:                                     `{"google_key":"","lead_id":"a"}`,
		"{ \"lead_id\" : \"a\" ,\n \"google_key\" \t: \"s3cret\" \n}":               "{ \"lead_id\" : \"a\" ,\n \"google_key\" \t: \"\" \n}",
		`{"lead_id":"a","google_key":"s3cret","google\u005fkey":"s3cret","é":1.50}`: `{"lead_id":"a","google_key":"","google\u005fkey":"","é":1.50}`,
		`{"lead_id":"a","google_key":{"s3cret":["s3cret"]},"x":{"google_key":1}}`:   `{"lead_id":"a","google_key":"","x":{"google_key":1}}`,
		`{"lead_id":"a"}`: `{"lead_id":"a"}`,
	} {
		g, reasons, err := OpenGoogle([]byte(raw))
		if string(g.Payload) != want || err != nil || len(reasons) != 0 || g.ID != "a" {
			t.Errorf("OpenGoogle(%s) stores %s with %v, %v; want %s", raw, g.Payload, reasons, err, want)
		}
	}
}

func TestWhatGoogleDoesNotSendIsNamed(t *testing.T) {
	for raw, want := range map[string]string{
		`{}`:            "lead_id",
		`{"lead_id":5}`: "lead_id",
		`{"lead_id":"` + strings.Repeat("x", 201) + `"}`: "lead_id",
		`{"lead_id":"a b"}`: "lead_id",
		`{"lead_id":"a","user_column_data":{"column_id":"x"}}`:  "user_column_data",
		`{"user_column_data":"x","lead_id":"a","google_key":1}`: "user_column_data",
	} {
		_, reasons, err := OpenGoogle([]byte(raw))
		if err != nil || len(reasons) != 1 || reasons[0].Field != want {
			t.Errorf("OpenGoogle(%.40s) = %v, %v; want %s named", raw, reasons, err, want)
		}
	}
	if _, _, err := OpenGoogle([]byte(`[]`)); err != intake.ErrObject {
		t.Errorf("a list is %v, want ErrObject", err)
	}
}

func FuzzOpenGoogle(f *testing.F) {
	f.Add(`{"google_key":"k","lead_id":"a","user_column_data":[{"column_id":"EMAIL"}]}`)
	f.Add(`{"google_key" : 1e400 , "a":{"google_key":"x"}}`)
	f.Fuzz(func(t *testing.T, raw string) {
		g, _, err := OpenGoogle([]byte(raw))
		if err != nil {
			return
		}
		before, _ := intake.Decode([]byte(raw))
		after, err := intake.Decode(g.Payload)
		if err != nil || len(after) != len(before) {
			t.Fatalf("OpenGoogle(%q) stores %q: %v", raw, g.Payload, err)
		}
		for i, m := range after {
			if m.Key != before[i].Key || m.Key == googleKey && m.Value != "" {
				t.Errorf("OpenGoogle(%q) stores %q, want the same keys and an empty google_key", raw, g.Payload)
			}
		}
	})
}
