// Package lead holds the rules of the pipeline: what was sent, what it was
// cleaned to, and the lead it becomes part of. Everything here and below is a
// pure function of its arguments: no clock, no network, no database.
package lead

import "time"

// Verdict says what became of a submission.
type Verdict string

// The verdicts. A submission is pending until it was processed, and then
// exactly one of the others.
const (
	Accepted    Verdict = "accepted"    // it founded a lead
	Duplicate   Verdict = "duplicate"   // it was absorbed into a lead that was known
	Rejected    Verdict = "rejected"    // it cannot become a lead; the reasons say why
	Quarantined Verdict = "quarantined" // it waits for a person to look at it
	Pending     Verdict = "pending"     // it was not processed yet
)

// Reason says what is wrong with one field of a submission.
type Reason struct {
	Field   string `json:"field"`   // a name of FieldNames; "" for the submission as a whole
	Code    string `json:"code"`    // stable, for programs: "mistyped"
	Message string `json:"message"` // a sentence for people; never holds the value
}

// FieldNames are the fields a lead can have, in the order in which they are
// shown. Everything else that is sent is kept in Extra.
var FieldNames = []string{
	"email", "phone", "first_name", "last_name", "name", "company", "title",
	"website", "country", "city", "postal_code", "message", "consent",
}

// Submission is what was sent, sorted by our field names but not yet cleaned.
type Submission struct {
	Fields map[string]string // only keys of FieldNames
	Extra  map[string]any    // the rest, under the sender's names
}

// Field is one value of a lead, with where it came from.
type Field struct {
	Value  string    `json:"value"`          // as we use it
	Raw    string    `json:"raw,omitempty"`  // as it was sent; "" if equal to Value
	Note   string    `json:"note,omitempty"` // code of what cleaning changed; "" if nothing
	Source string    `json:"source"`         // name of the source that sent it
	Intake int64     `json:"intake"`         // the submission it came with
	At     time.Time `json:"at"`             // when that was received; UTC, microseconds
}

// Lead is a person or company who asked for something, as far as we know them.
type Lead struct {
	ID          int64
	Fields      map[string]Field // by names of FieldNames; absent if unknown
	Extra       map[string]any
	Submissions int   // how many submissions were absorbed, the founding one included
	Score       int   // 0 (cold) to 100 (hot)
	OwnerID     int64 // the user it belongs to; 0 if none
}

// Value returns the value of a field, "" if it is not known.
func (l Lead) Value(field string) string { return l.Fields[field].Value }

// Clean is a submission after cleaning, with the verdict on it. The fields
// have Value, Raw and Note; the rest of them is set by Absorb.
type Clean struct {
	Verdict  Verdict // Accepted, Rejected or Quarantined
	Fields   map[string]Field
	Extra    map[string]any
	Reasons  []Reason
	EmailKey string // "e:" and the folded address; "" if there is none to match by
	PhoneKey string // "p:" and the number in E.164; "" if there is none to match by
}

// Origin says which submission a value came with.
type Origin struct {
	Source string    // name of the source
	Intake int64     // id of the submission
	At     time.Time // when it was received
}
