package intake

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/leadmill/leadmill/lead"
)

// Limits of an object.
const (
	mostKeys    = 500
	deepestNest = 32
)

// ErrObject says that a payload is not one JSON object within the limits. Its text is for the sender.
var ErrObject = errors.New("want one JSON object")

// Parse reads a payload, a JSON object, into the fields of a lead. What a key means is said by the mapping, and where
// that is silent by its name. Of several keys that mean the same field a mapped one counts before the others, then the
// plainest that is not empty, and the others go to Extra with everything else; numbers stay as they are
// written. A key that begins with _ is an instruction to us and dropped, unless it is mapped. A field of a wrong type
// is a Reason with code mistyped and is kept in Extra. Anything but an object within the limits is a Reason with code
// malformed.
func Parse(payload []byte, m Mapping) (lead.Submission, []lead.Reason) {
	members, err := Decode(payload)
	if err != nil {
		return lead.Submission{Fields: map[string]string{}, Extra: map[string]any{}},
			[]lead.Reason{{Code: "malformed", Message: "The submission cannot be read."}}
	}
	p := parser{
		mapping:    m,
		submission: lead.Submission{Fields: map[string]string{}, Extra: map[string]any{}},
	}
	for _, member := range m.plainestFirst(members) {
		p.take(member)
	}
	return p.submission, p.reasons
}

// Mistyped names the fields of a wrong type, as Parse does, of a payload that was decoded before.
func Mistyped(members []Member, m Mapping) (reasons []lead.Reason) {
	for _, member := range members {
		if field := m.Field(member.Key); field != "" && !m.skips(member.Key) {
			if _, ok := asText(field, member.Value); !ok {
				reasons = append(reasons, mistyped(field))
			}
		}
	}
	return reasons
}

func mistyped(field string) lead.Reason {
	return lead.Reason{Field: field, Code: "mistyped", Message: "The field must be a text."}
}

// Member is one key of an object and its value.
type Member struct {
	Key   string
	Value any // string, json.Number, bool, nil, []any or map[string]any
}

// Decode reads one JSON object, in order, with nothing behind it. A key that is repeated counts once, with its last
// value. The error is ErrObject or wraps it.
func Decode(payload []byte) ([]Member, error) {
	if depth(payload) > deepestNest {
		return nil, ErrObject
	}
	d := json.NewDecoder(bytes.NewReader(payload))
	d.UseNumber()
	if start, err := d.Token(); err != nil || start != json.Delim('{') {
		return nil, ErrObject
	}
	var members []Member
	at := map[string]int{}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, ErrObject
		}
		m := Member{Key: key.(string)}
		if err := d.Decode(&m.Value); err != nil {
			return nil, ErrObject
		}
		if i, repeated := at[m.Key]; repeated {
			members[i] = m
			continue
		}
		at[m.Key] = len(members)
		members = append(members, m)
		if len(members) > mostKeys {
			return nil, ErrObject
		}
	}
	if _, err := d.Token(); err != nil {
		return nil, ErrObject
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, ErrObject
	}
	return members, nil
}

// depth is how far brackets nest, strings left out. encoding/json has a limit of its own, far too generous.
func depth(payload []byte) (deepest int) {
	level, inString, escaped := 0, false, false
	for _, c := range payload {
		switch {
		case escaped:
			escaped = false
		case inString:
			escaped = c == '\\'
			inString = c != '"'
		case c == '"':
			inString = true
		case c == '{' || c == '[':
			level++
			deepest = max(deepest, level)
		case c == '}' || c == ']':
			level--
		}
	}
	return deepest
}

type parser struct {
	mapping    Mapping
	submission lead.Submission
	reasons    []lead.Reason
}

// joint stands between the values that Google puts into one cell. The first counts, all are kept.
const joint = " ::: "

func (p *parser) take(m Member) {
	if p.mapping.skips(m.Key) {
		return
	}
	field := p.mapping.Field(m.Key)
	if field == "" {
		p.submission.Extra[clean(m.Key)] = storable(m.Value)
		return
	}
	value, ok := asText(field, m.Value)
	switch {
	case !ok:
		p.reasons = append(p.reasons, mistyped(field))
		p.submission.Extra[clean(m.Key)] = storable(m.Value)
	case strings.TrimSpace(value) == "":
	case p.submission.Fields[field] == "":
		p.submission.Fields[field] = firstOf(value)
		if strings.Contains(value, joint) {
			p.submission.Extra[clean(m.Key)] = storable(value)
		}
	case p.submission.Fields[field] != value:
		p.submission.Extra[clean(m.Key)] = storable(value)
	}
}

func firstOf(value string) string {
	for part := range strings.SplitSeq(value, joint) {
		if strings.TrimSpace(part) != "" {
			return part
		}
	}
	return value
}

// asText takes texts, and what people reasonably send in their place: numbers for telephone and postal code, a bool for
// consent, null for nothing.
func asText(field string, v any) (string, bool) {
	switch v := v.(type) {
	case nil:
		return "", true
	case string:
		return v, true
	case json.Number:
		return v.String(), field == "phone" || field == "postal_code"
	case bool:
		if v {
			return "yes", field == "consent"
		}
		return "no", field == "consent"
	}
	return "", false
}

// storable takes NUL out of texts, and makes texts of numbers that no number can hold: PostgreSQL's jsonb refuses both.
func storable(v any) any {
	switch v := v.(type) {
	case string:
		return clean(v)
	case json.Number:
		if endless(v.String()) {
			return v.String()
		}
	case []any:
		for i := range v {
			v[i] = storable(v[i])
		}
		return v
	case map[string]any:
		kept := make(map[string]any, len(v))
		for key, value := range v {
			kept[clean(key)] = storable(value)
		}
		return kept
	}
	return v
}

// mostDigits of a number, written out: what a float can hold at its largest.
const mostDigits = 308

func endless(number string) bool {
	mantissa, exponent, _ := strings.Cut(strings.ToLower(number), "e")
	if exponent == "" {
		exponent = "0"
	}
	e, err := strconv.Atoi(exponent)
	return err != nil || len(mantissa)+max(e, -e) > mostDigits
}

func clean(s string) string { return strings.ReplaceAll(s, "\x00", "") }
