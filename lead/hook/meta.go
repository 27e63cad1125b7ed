package hook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/leadmill/leadmill/lead"
	"github.com/leadmill/leadmill/lead/intake"
)

// Meta says only that there is a lead; what it holds is fetched by its id:
// https://developers.facebook.com/docs/marketing-api/guides/lead-ads/retrieving
//
//	{"object":"page","entry":[{"changes":[{"field":"leadgen","value":{"leadgen_id":"...","form_id":"..."}}]}]}

// ErrNotice says that a notification cannot be read. Its text is for the sender.
var ErrNotice = errors.New("want a notification with a list entry, and in its changes a leadgen_id of digits")

// SignedByMeta checks X-Hub-Signature-256, which is over the raw body, against any of the app's secrets.
func SignedByMeta(header string, raw []byte, secrets ...string) bool {
	text, ok := strings.CutPrefix(header, "sha256=")
	given, err := hex.DecodeString(text)
	ok = ok && err == nil
	fits := false
	for _, secret := range secrets {
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write(raw)
		fits = hmac.Equal(mac.Sum(nil), given) || fits
	}
	return ok && fits
}

// longestChallenge is the most characters of a hub.challenge.
const longestChallenge = 100

// IsChallenge says that a hub.challenge may be sent back: letters and digits that mean nothing to any browser.
func IsChallenge(s string) bool {
	return s != "" && len(s) <= longestChallenge && strings.Trim(s, letters+digits) == ""
}

const (
	digits  = "0123456789"
	letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
)

// Change is one lead that Meta tells of.
type Change struct {
	ID     string // leadgen_id, digits
	Notice []byte // the value of the change as it came, a JSON object
}

// Changes lists the leads that a notification tells of, each once. Changes of other fields are left out. The error is
// ErrNotice.
func Changes(raw []byte) ([]Change, error) {
	var notification struct {
		Entry []struct {
			Changes []struct {
				Field string
				Value json.RawMessage
			}
		}
	}
	if err := json.Unmarshal(raw, &notification); err != nil || notification.Entry == nil {
		return nil, ErrNotice
	}
	var changes []Change
	seen := map[string]bool{}
	for _, e := range notification.Entry {
		for _, c := range e.Changes {
			if c.Field != "leadgen" {
				continue
			}
			id, ok := leadgenID(c.Value)
			if !ok {
				return nil, ErrNotice
			}
			if !seen[id] {
				seen[id] = true
				changes = append(changes, Change{id, c.Value})
			}
		}
	}
	return changes, nil
}

// longestLeadgenID is the most digits of one; they have 15 to 17.
const longestLeadgenID = 32

// leadgenID reads the id, which comes as a text or as a number beyond what a float keeps.
func leadgenID(value []byte) (string, bool) {
	var v struct {
		ID json.RawMessage `json:"leadgen_id"`
	}
	if json.Unmarshal(value, &v) != nil {
		return "", false
	}
	id := strings.Trim(string(v.ID), `"`)
	return id, id != "" && len(id) <= longestLeadgenID && strings.Trim(id, digits) == ""
}

// IsTest says that it is what the button of the app dashboard sends: an id of fours, which cannot be fetched.
func (c Change) IsTest() bool { return fours(c.ID) }

func fours(id string) bool { return len(id) >= 9 && strings.Trim(id, "4") == "" }

// MetaPayload is what is stored of a lead: the change and what was fetched for it, both as they came. lead is nil if
// nothing was.
func MetaPayload(change, lead []byte) []byte {
	payload := append([]byte(`{"change":`), change...)
	if lead != nil {
		payload = append(append(payload, `,"lead":`...), lead...)
	}
	return append(payload, '}')
}

func readMeta(members []intake.Member) (lead.Submission, []lead.Reason) {
	parts := map[string]map[string]any{}
	for _, m := range members {
		parts[m.Key], _ = m.Value.(map[string]any)
	}
	change, fetched := parts["change"], parts["lead"]
	f := newFlat()
	answers, _ := fetched["field_data"].([]any)
	test := f.fieldData(answers)
	test = test || fetched == nil && fours(fmt.Sprint(change["leadgen_id"]))
	delete(fetched, "field_data")
	if id, ok := fetched["id"]; ok {
		f.detail("leadgen_id", id)
		delete(fetched, "id")
	}
	f.details(fetched)
	f.details(change)
	submission, reasons := f.read()
	if test {
		reasons = append(reasons, testLead)
	}
	return submission, reasons
}

// fieldData adds the answers of a form, and says whether Meta's testing tool gave them. Of several values of a field the
// first is taken, and all are kept.
func (f *flat) fieldData(answers []any) (test bool) {
	for _, a := range answers {
		answer, _ := a.(map[string]any)
		name, _ := answer["name"].(string)
		values, _ := answer["values"].([]any)
		if name == "" || len(values) == 0 {
			continue
		}
		for _, v := range values {
			text, _ := v.(string)
			test = test || strings.HasPrefix(text, "<test lead:")
		}
		switch {
		case len(values) == 1:
			f.answer(name, values[0])
		case intake.Canonical(name) == "":
			f.detail(name, values)
		default:
			f.answer(name, values[0])
			f.detail(name, values)
		}
	}
	f.metaNames()
	return test
}

// metaNames maps the names of Meta's own questions that say too little by themselves.
func (f *flat) metaNames() {
	f.mapping["post_code"] = "postal_code"
	if !f.taken["phone_number"] {
		f.mapping["work_phone_number"] = "phone"
	}
}
