package lead

import (
	"maps"
	"time"
)

// Absorbed says what a submission changed in a lead.
type Absorbed struct {
	Filled      map[string]Field `json:"filled"`         // fields that were empty and now stand
	Kept        map[string]Field `json:"kept,omitempty"` // values that differ from the standing ones and were not taken in
	ExtraFilled map[string]any   `json:"extra_filled,omitempty"`
}

// Absorb takes a cleaned submission into a lead: what was empty is filled,
// what stands is kept. A zero Lead absorbs the submission that founds it.
// Neither argument is changed.
//
// The verdict is not looked at; the caller absorbs what it accepted.
func Absorb(l Lead, c Clean, o Origin) (Lead, Absorbed) {
	l.Fields = cloned(l.Fields)
	l.Extra = cloned(l.Extra)
	l.Submissions++
	took := Absorbed{Filled: map[string]Field{}}
	for name, f := range c.Fields {
		f = stamped(f, o)
		switch standing := l.Value(name); {
		case f.Value == "" || f.Value == standing:
		case standing == "":
			l.Fields[name] = f
			took.Filled[name] = f
		default:
			took.keep(name, f)
		}
	}
	for key, value := range c.Extra {
		if _, known := l.Extra[key]; !known {
			l.Extra[key] = value
			took.fillExtra(key, value)
		}
	}
	return l, took
}

func (a *Absorbed) keep(name string, f Field) {
	if a.Kept == nil {
		a.Kept = map[string]Field{}
	}
	a.Kept[name] = f
}

func (a *Absorbed) fillExtra(key string, value any) {
	if a.ExtraFilled == nil {
		a.ExtraFilled = map[string]any{}
	}
	a.ExtraFilled[key] = value
}

// stamped returns the field with its origin. Databases keep microseconds, so a
// field is the same before and after it was stored.
func stamped(f Field, o Origin) Field {
	if f.Raw == f.Value {
		f.Raw = ""
	}
	f.Source, f.Intake, f.At = o.Source, o.Intake, o.At.UTC().Truncate(time.Microsecond)
	return f
}

// cloned returns a copy that can be written to, also of nil.
func cloned[M ~map[K]V, K comparable, V any](m M) M {
	if m == nil {
		return M{}
	}
	return maps.Clone(m)
}
