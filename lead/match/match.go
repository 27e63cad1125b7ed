// Package match decides which submissions come from the same person.
//
// Only exact keys count: the folded e-mail address and the telephone number.
// An address belongs to one person; a number may be shared, by a family or an
// office, and then the name decides.
package match

import (
	"maps"
	"slices"
)

// Candidate is an accepted submission looking for its lead.
type Candidate struct {
	Intake   int64
	EmailKey string // "" if none
	PhoneKey string // "" if none
	Name     string // as cleaned; "" if none
}

// Known is the lead that holds a key.
type Known struct {
	Lead     int64
	Name     string // "" if not known
	HasEmail bool   // it has an e-mail address
}

// Assignment says which lead a submission belongs to.
type Assignment struct {
	Intake      int64
	Lead        int64
	New         bool     // this submission founds the lead
	By          string   // the key that matched: "email", "phone", or "" if New
	Keys        []string // keys that Lead did not hold and now gets
	SharedPhone int64    // the lead of another person that holds the telephone number; 0 if none
}

// Assign finds the lead of each candidate, in their order; a later candidate
// sees the keys that earlier ones brought. A new lead gets the id of the intake
// that founds it. known tells the leads that hold keys of the candidates.
//
//   - The e-mail key decides first, then the telephone key.
//   - A telephone number does not match if both sides have a name, the names
//     have no word in common, and its lead has an e-mail address (which is
//     another one, or it would have matched). The number stays with its lead.
//   - A candidate without any key founds a lead of its own.
func Assign(cs []Candidate, known map[string]Known) []Assignment {
	b := newBook(known)
	assigned := make([]Assignment, len(cs))
	for i, c := range cs {
		assigned[i] = b.assign(c)
	}
	return assigned
}

// book is who holds which key.
type book struct {
	holder map[string]*Known // by key; all keys of a lead share one Known
}

func newBook(known map[string]Known) book {
	b := book{holder: map[string]*Known{}}
	byLead := map[int64]*Known{}
	for _, key := range slices.Sorted(maps.Keys(known)) {
		if key == "" {
			continue
		}
		k := known[key]
		if byLead[k.Lead] == nil {
			byLead[k.Lead] = &Known{Lead: k.Lead}
		}
		byLead[k.Lead].learn(k.Name, k.HasEmail)
		b.holder[key] = byLead[k.Lead]
	}
	return b
}

func (b book) assign(c Candidate) Assignment {
	a := Assignment{Intake: c.Intake}
	l := b.find(c, &a)
	if l == nil {
		l = &Known{Lead: c.Intake}
		a.New = true
	}
	l.learn(c.Name, c.EmailKey != "")
	a.Lead = l.Lead
	a.Keys = b.give(l, c)
	if phone := b.holder[c.PhoneKey]; phone != nil && phone != l {
		a.SharedPhone = phone.Lead
	}
	return a
}

// find returns the lead that the candidate belongs to, nil if it is not known.
func (b book) find(c Candidate, a *Assignment) *Known {
	if l := b.holder[c.EmailKey]; l != nil {
		a.By = "email"
		return l
	}
	if l := b.holder[c.PhoneKey]; l != nil && !l.isAnother(c) {
		a.By = "phone"
		return l
	}
	return nil
}

// give hands the keys of the candidate that nobody holds to the lead.
func (b book) give(l *Known, c Candidate) []string {
	var given []string
	for _, key := range []string{c.EmailKey, c.PhoneKey} {
		if key != "" && b.holder[key] == nil {
			b.holder[key] = l
			given = append(given, key)
		}
	}
	return given
}

// learn adds what a submission tells; a name that stands is kept, as by lead.Absorb.
func (k *Known) learn(name string, hasEmail bool) {
	if k.Name == "" {
		k.Name = name
	}
	k.HasEmail = k.HasEmail || hasEmail
}

// isAnother reports whether a candidate whose e-mail did not match is another
// person than the lead with its telephone number.
func (k *Known) isAnother(c Candidate) bool {
	return k.HasEmail && contradict(k.Name, c.Name)
}

// contradict reports whether both names have words, and none in common.
func contradict(a, b string) bool {
	as, bs := nameWords(a), nameWords(b)
	if len(as) == 0 || len(bs) == 0 {
		return false
	}
	return !slices.ContainsFunc(as, func(w string) bool { return slices.Contains(bs, w) })
}
