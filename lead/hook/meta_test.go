package hook

import (
	"encoding/json"
	"strings"
	"testing"
)

const notice = `{"leadgen_id":"400000000000001","page_id":"100000000000001","form_id":"200000000000001","ad_id":"300000000000001","created_time":1770121800}`

func TestALeadOfMetaBecomesFields(t *testing.T) {
	fetched := `{"id":"400000000000001","created_time":"2026-02-03T12:30:00+0000","form_id":"200000000000001","name":"not of the person","field_data":[
		{"name":"full_name","values":["Olga Muster"]},{"name":"email","values":["olga@example.com","other@example.com"]},{"name":"phone_number","values":["+442079460123"]},
		{"name":"work_phone_number","values":["+442079460124"]},{"name":"company_name","values":["Muster & Söhne"]},{"name":"post_code","values":["89073"]},
		{"name":"which_product?","values":["blue","red"]},{"name":"empty","values":[]},{"values":["x"]},7],
		"custom_disclaimer_responses":[{"checkbox_key":"newsletter","is_checked":"1"}]}`
	reads(t, Meta, string(MetaPayload([]byte(notice), []byte(fetched))),
		map[string]string{"name": "Olga Muster", "email": "olga@example.com", "phone": "+442079460123", "company": "Muster & Söhne", "postal_code": "89073"},
		map[string]any{"leadgen_id": "400000000000001", "page_id": "100000000000001", "form_id": "200000000000001", "ad_id": "300000000000001",
			"created_time": "2026-02-03T12:30:00+0000", "name": "not of the person", "which_product?": []any{"blue", "red"},
			"email 2": []any{"olga@example.com", "other@example.com"}, "work_phone_number": "+442079460124",
			"custom_disclaimer_responses": []any{map[string]any{"checkbox_key": "newsletter", "is_checked": "1"}}}, false)
	reads(t, Meta, string(MetaPayload([]byte(`{"leadgen_id":1}`), []byte(`{"field_data":[{"name":"work_phone_number","values":["+442079460124"]}]}`))),
		map[string]string{"phone": "+442079460124"}, map[string]any{"leadgen_id": json.Number("1")}, false)
}

func TestTestsOfMetaAreTold(t *testing.T) {
	reads(t, Meta, string(MetaPayload([]byte(`{"leadgen_id":444444444444}`), nil)), map[string]string{}, map[string]any{"leadgen_id": json.Number("444444444444")}, true)
	reads(t, Meta, string(MetaPayload([]byte(`{"leadgen_id":"400000000000001"}`), []byte(`{"field_data":[{"name":"full_name","values":["<test lead: dummy data for full_name>"]}]}`))),
		map[string]string{"name": "<test lead: dummy data for full_name>"}, map[string]any{"leadgen_id": "400000000000001"}, true)
}

func TestANotificationListsEachLeadOnce(t *testing.T) {
	for raw, want := range map[string]string{
		`{"entry":[{"changes":[{"field":"leadgen","value":{"leadgen_id":"1"}},{"field":"leadgen","value":{"leadgen_id":2}}]},{"changes":[{"field":"leadgen","value":{"leadgen_id":"1"}}]}]}`: "1 2",
		`{"entry":[{"changes":[{"field":"leadgen","value":{"leadgen_id":9007199254740993}}]}]}`:                                                                                              "9007199254740993",
		`{"entry":[{"changes":[{"field":"feed","value":{"item":"status"}},{"field":"x"}]}]}`:                                                                                                 "",
		`{"entry":[]}`:    "",
		`{"object":"x"}`:  "refused",
		`leadgen_id=1`:    "refused",
		`[]`:              "refused",
		`{"entry":[1]}`:   "refused",
		`{"entry":"1"}`:   "refused",
		`{"entry":[]} {}`: "refused",
		`{"entry":[{"changes":[{"field":"leadgen"}]}]}`:                                                                  "refused",
		`{"entry":[{"changes":[{"field":"leadgen","value":{}}]}]}`:                                                       "refused",
		`{"entry":[{"changes":[{"field":"leadgen","value":{"leadgen_id":"../me"}}]}]}`:                                   "refused",
		`{"entry":[{"changes":[{"field":"leadgen","value":{"leadgen_id":4e14}}]}]}`:                                      "refused",
		`{"entry":[{"changes":[{"field":"leadgen","value":{"leadgen_id":"` + strings.Repeat("1", 33) + `"}}]}]}`:         "refused",
		`{"entry":[{"changes":[{"field":"leadgen","value":{"leadgen_id":"1"}},{"field":"leadgen","value":["1"]}]}]}`:     "refused",
		`{"entry":[{"changes":[{"field":"leadgen","value":{"leadgen_id":""}},{"field":"leadgen","value":{"id":"1"}}]}]}`: "refused",
	} {
		changes, err := Changes([]byte(raw))
		var ids []string
		for _, c := range changes {
			ids = append(ids, c.ID)
		}
		got := strings.Join(ids, " ")
		if err != nil {
			got = "refused"
		}
		if got != want {
			t.Errorf("Changes(%s) = %s, want %s", raw, got, want)
		}
	}
}

func TestOnlyAPlainChallengeIsSentBack(t *testing.T) {
	for challenge, want := range map[string]bool{
		"1158201444": true, "aZ09": true, "": false, "<b>": false, "a b": false, "a\r\nb": false, "é": false, strings.Repeat("1", 101): false,
	} {
		if got := IsChallenge(challenge); got != want {
			t.Errorf("IsChallenge(%.20q) = %v, want %v", challenge, got, want)
		}
	}
}

func TestTheCasesOfMeta(t *testing.T) {
	var file struct {
		AppSecret string `json:"app_secret"`
		Cases     []struct {
			Name, Raw, Expect string
			Signature         string `json:"x_hub_signature_256"`
		}
		Graph struct {
			OK struct {
				Status int
				Body   json.RawMessage
			}
			Errors []struct {
				Name, Expect string
				Status       int
				Body         json.RawMessage
			}
		}
	}
	decode(t, "meta-leadgen-cases.json", &file)
	for _, c := range file.Cases {
		taken := SignedByMeta(c.Signature, []byte(c.Raw), "another", file.AppSecret)
		if taken {
			_, err := Changes([]byte(c.Raw))
			taken = err == nil
		}
		if taken == (c.Expect == "refused") {
			t.Errorf("%s: taken %v, want: %s", c.Name, taken, c.Expect)
		}
	}
	if a := JudgeGraph(file.Graph.OK.Status, file.Graph.OK.Body); !a.Fetched {
		t.Errorf("the lead is %+v", a)
	}
	want := map[string]GraphAnswer{
		"token expired": {Flag: true}, "lead not there (test ids, deleted)": {}, "rate limit": {Again: true}, "their fault": {Again: true},
	}
	for _, e := range file.Graph.Errors {
		got := JudgeGraph(e.Status, e.Body)
		if got.Reason == "" || strings.Contains(got.Reason, "444444444444") {
			t.Errorf("%s: reason %q", e.Name, got.Reason)
		}
		got.Reason = ""
		if w, known := want[e.Name]; !known || got != w {
			t.Errorf("%s: %+v, want %+v: %s", e.Name, got, w, e.Expect)
		}
	}
}

func TestAnAnswerOfTheGraphAPIIsJudged(t *testing.T) {
	failed := func(code string) string { return `{"error":{"message":"olga@example.com","code":` + code + `}}` }
	for _, c := range []struct {
		status               int
		body                 string
		fetched, again, flag bool
	}{
		{200, `{"id":"1","field_data":[]}`, true, false, false},
		{200, `{"data":[]}`, false, true, false},
		{200, `<html>`, false, true, false},
		{200, failed("190"), false, false, true},
		{400, failed("190"), false, false, true},
		{403, failed("10"), false, false, true},
		{403, failed("200"), false, false, true},
		{401, ``, false, false, true},
		{400, failed("100"), false, false, false},
		{404, failed("803"), false, false, false},
		{404, ``, false, false, false},
		{302, ``, false, false, false},
		{400, failed("4"), false, true, false},
		{400, failed("80005"), false, true, false},
		{400, `{"error":{"code":999,"is_transient":true}}`, false, true, false},
		{429, ``, false, true, false},
		{500, failed("1"), false, true, false},
		{503, `away`, false, true, false},
		{0, ``, false, true, false},
	} {
		got := JudgeGraph(c.status, []byte(c.body))
		if got.Fetched != c.fetched || got.Again != c.again || got.Flag != c.flag || strings.Contains(got.Reason, "olga") || (got.Reason == "") != c.fetched {
			t.Errorf("JudgeGraph(%d, %s) = %+v, want fetched %v, again %v, flag %v", c.status, c.body, got, c.fetched, c.again, c.flag)
		}
	}
}

func FuzzChanges(f *testing.F) {
	f.Add(`{"object":"page","entry":[{"changes":[{"field":"leadgen","value":{"leadgen_id":"1","a":[{}]}}]}]}`)
	f.Fuzz(func(t *testing.T, raw string) {
		changes, _ := Changes([]byte(raw))
		for _, c := range changes {
			if c.ID == "" || strings.Trim(c.ID, digits) != "" || !json.Valid(MetaPayload(c.Notice, nil)) {
				t.Errorf("Changes(%q) has %q, %q", raw, c.ID, c.Notice)
			}
		}
	})
}

func FuzzJudgeGraph(f *testing.F) {
	f.Add(400, `{"error":{"code":190}}`)
	f.Fuzz(func(t *testing.T, status int, body string) {
		a := JudgeGraph(status, []byte(body))
		if a.Fetched && (a.Again || a.Flag || !json.Valid(MetaPayload([]byte(`{}`), []byte(body)))) || a.Again && a.Flag {
			t.Errorf("JudgeGraph(%d, %q) = %+v", status, body, a)
		}
	})
}
