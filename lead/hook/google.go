package hook

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/leadmill/leadmill/lead"
	"github.com/leadmill/leadmill/lead/intake"
)

// The webhook of Google Ads' lead forms posts one lead, with the key in its body:
// https://developers.google.com/google-ads/webhook/docs/overview
//
//	{"lead_id":"...","google_key":"...","is_test":false,"form_id":40000000001,
//	 "user_column_data":[{"column_id":"EMAIL","column_name":"User Email","string_value":"..."}]}

const (
	googleKey     = "google_key"
	googleID      = "lead_id"
	googleTest    = "is_test"
	googleColumns = "user_column_data"
)

// GoogleLead is a request of Google Ads.
type GoogleLead struct {
	Key     string // that it shows; "" none
	ID      string // unique across all forms
	Payload []byte // the body as it came, the key emptied: it is a secret
}

// OpenGoogle reads a request as far as it takes to store it. The error is intake.ErrObject; the reasons name what
// cannot be taken, and matter only if the key is right.
func OpenGoogle(raw []byte) (GoogleLead, []lead.Reason, error) {
	members, err := intake.Decode(raw)
	if err != nil {
		return GoogleLead{}, nil, err
	}
	g := GoogleLead{Payload: emptied(raw, googleKey)}
	var reasons []lead.Reason
	for _, m := range members {
		switch m.Key {
		case googleKey:
			g.Key, _ = m.Value.(string)
		case googleID:
			g.ID, _ = m.Value.(string)
		case googleColumns:
			if _, ok := m.Value.([]any); !ok {
				reasons = append(reasons, lead.Reason{Field: googleColumns, Code: "mistyped", Message: "The field must be a list of columns."})
			}
		}
	}
	if !isID(g.ID) {
		reasons = append(reasons, lead.Reason{Field: googleID, Code: "missing", Message: "The field must be a text of 1 to 200 characters without blanks."})
	}
	return g, reasons, nil
}

// emptied is an object with "" for the value of a key wherever that stands on its first level, else byte for byte.
func emptied(raw []byte, key string) []byte {
	var out bytes.Buffer
	d := json.NewDecoder(bytes.NewReader(raw))
	_, _ = d.Token() // raw is known to be an object
	copied := 0
	for d.More() {
		name, err := d.Token()
		var value json.RawMessage
		if err != nil || d.Decode(&value) != nil {
			break
		}
		if name == key {
			end := int(d.InputOffset())
			out.Write(raw[copied : end-len(value)])
			out.WriteString(`""`)
			copied = end
		}
	}
	out.Write(raw[copied:])
	return out.Bytes()
}

func readGoogle(members []intake.Member) (lead.Submission, []lead.Reason) {
	f, test := newFlat(), false
	for _, m := range members {
		if columns, ok := m.Value.([]any); ok && m.Key == googleColumns {
			for i, c := range columns {
				f.column(i, c)
			}
		}
	}
	for _, m := range members {
		switch m.Key {
		case googleColumns, googleKey:
		case googleTest:
			test = m.Value == true || m.Value == "true"
			f.detail(m.Key, m.Value)
		default:
			f.detail(m.Key, m.Value)
		}
	}
	submission, reasons := f.read()
	if test {
		reasons = append(reasons, testLead)
	}
	return submission, reasons
}

// column adds the answer to one question. Its id decides what it is; the name is for people, and not always there.
func (f *flat) column(i int, v any) {
	column, _ := v.(map[string]any)
	name, _ := column["column_id"].(string)
	if name == "" {
		name, _ = column["column_name"].(string)
	}
	if name == "" {
		name = fmt.Sprintf("column_%d", i+1)
	}
	if value, ok := column["string_value"]; ok {
		f.answer(name, value)
		return
	}
	f.detail(name, v)
}
