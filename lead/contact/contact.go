// Package contact cleans what people typed: e-mail addresses, telephone numbers, names, countries. Every function
// is pure and can be done again: a cleaned value stays as it is.
package contact

import (
	"maps"
	"slices"
	"strings"

	"github.com/leadmill/leadmill/lead"
)

// Normalise cleans a submission and judges it.
//
// country is where telephone numbers are from that say it neither themselves nor by the submission's own country; ISO
// 3166 alpha-2, "" unknown. Rejected are malformed e-mail addresses, and submissions with neither an address nor a
// readable number. Quarantined is what looks like abuse or damage. The reasons hold every field that was
// wrong, also of accepted ones.
func Normalise(s lead.Submission, country string) lead.Clean {
	n := &normaliser{from: s.Fields, country: country, clean: lead.Clean{
		Verdict: lead.Accepted,
		Fields:  map[string]lead.Field{},
		Extra:   maps.Clone(s.Extra),
	}}
	n.sheetErrors()
	n.places()
	n.people()
	n.texts()
	n.email()
	n.phone()
	n.judge()
	return n.clean
}

// normaliser carries one submission through its fields.
type normaliser struct {
	from    map[string]string
	country string
	clean   lead.Clean
}

// put keeps a cleaned value next to what was typed.
func (n *normaliser) put(field, value, note string) {
	if value == "" && n.from[field] == "" {
		return
	}
	n.clean.Fields[field] = lead.Field{Value: value, Raw: tidy(n.from[field]), Note: note}
}

func (n *normaliser) reason(field, code string) {
	n.clean.Reasons = append(n.clean.Reasons, lead.Reason{Field: field, Code: code, Message: messages[code]})
}

// sheetErrors takes what a spreadsheet could not work out for nothing, and says so.
func (n *normaliser) sheetErrors() {
	var wrong []string
	for field, raw := range n.from {
		if sheetError(raw) {
			wrong = append(wrong, field)
		}
	}
	if wrong == nil {
		return
	}
	n.from = maps.Clone(n.from)
	slices.Sort(wrong)
	for _, field := range wrong {
		n.clean.Fields[field] = lead.Field{Raw: tidy(n.from[field]), Note: "spreadsheet_error"}
		n.reason(field, "spreadsheet_error")
		delete(n.from, field)
	}
}

// limits are the most characters that a field keeps.
var limits = map[string]int{
	"company": 200, "title": 500, "website": 500, "city": 500, "postal_code": 100, "message": 20_000,
}

func (n *normaliser) texts() {
	for _, field := range []string{"company", "title", "city", "postal_code", "message"} {
		value, note := cleanText(n.from[field], field == "message")
		if cut, shortened := shorten(value, limits[field]); shortened {
			value, note = cut, "shortened"
			n.reason(field, "too_long")
		}
		if damaged(value) {
			n.reason(field, "damaged_text")
		}
		n.put(field, value, note)
	}
	value, note := Website(n.from["website"])
	n.put("website", value, note)
	n.put("consent", Consent(n.from["consent"]), "")
}

func (n *normaliser) places() {
	raw := n.from["country"]
	if strings.TrimSpace(raw) == "" {
		return
	}
	code, ok := Country(raw)
	if !ok {
		n.put("country", "", "unknown_country")
		n.reason("country", "unknown_country")
		return
	}
	n.country = code
	n.put("country", code, "")
}

func (n *normaliser) email() {
	raw := n.from["email"]
	if strings.TrimFunc(raw, isBlank) == "" {
		return
	}
	address, code := Email(raw)
	if code != "" {
		n.put("email", "", code)
		n.reason("email", code)
		return
	}
	n.put("email", address, "")
	n.clean.EmailKey = EmailKey(address)
}

func (n *normaliser) phone() {
	raw := n.from["phone"]
	if strings.TrimFunc(raw, isBlank) == "" {
		return
	}
	number, code := Phone(raw, n.country)
	if code != "" {
		n.put("phone", "", code)
		n.reason("phone", code)
		return
	}
	note := ""
	if !number.Valid {
		note = "not_a_valid_number"
	} else {
		n.clean.PhoneKey = PhoneKey(number.E164)
	}
	n.put("phone", number.E164, note)
}

func (n *normaliser) judge() {
	email, phone := n.clean.Fields["email"], n.clean.Fields["phone"]
	switch {
	case email.Note != "":
		n.clean.Verdict = lead.Rejected
	case email.Value == "" && phone.Value == "":
		n.clean.Verdict = lead.Rejected
		n.reason("email", "no_contact")
	case n.suspicious():
		n.clean.Verdict = lead.Quarantined
	}
}

// nameFields are the fields that hold a person's name.
var nameFields = []string{"name", "first_name", "last_name"}

// manyLinks in a message make it look like advertising.
const manyLinks = 4

func (n *normaliser) suspicious() bool {
	before := len(n.clean.Reasons)
	if field, found := n.find(hasLink); found {
		n.reason(field, "link_in_name")
	}
	if field, found := n.find(damaged); found {
		n.reason(field, "damaged_text")
	}
	if countLinks(n.from["message"]) >= manyLinks {
		n.reason("message", "many_links")
	}
	return len(n.clean.Reasons) > before
}

func (n *normaliser) find(is func(string) bool) (string, bool) {
	i := slices.IndexFunc(nameFields, func(field string) bool { return is(n.from[field]) })
	if i < 0 {
		return "", false
	}
	return nameFields[i], true
}
