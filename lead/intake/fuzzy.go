package intake

import (
	"slices"
	"strings"
)

// neutral are words of a column's name that do not change what it holds: whose it is, and politeness. Those for a number
// do so only where the field is one: the account number is not the account.
var neutral = words(`a an the your you my our main primary 1 private privat work business office home personal direct
	required optional please enter contact lead customer client person prospect visitor attendee participant field feld
	der die das dein deine ihr ihre bitte pflichtfeld geschaftl geschaftlich dienstl dienstlich kunde kunden kontakt
	teilnehmer haupt le la votre vos su tu el profesional professionnel pro`)

var forNumber = words("nr no number nummer num")

// different are words that look like ours and are not.
var different = words(`county start content titel massage votes phono state states telefax fax`)

func words(list string) map[string]bool {
	set := map[string]bool{}
	for _, w := range strings.Fields(list) {
		set[w] = true
	}
	return set
}

// Confidences of names that are nearly ours.
const (
	sureBesides = .9  // but for neutral words
	sureTypo    = .75 // but for a mistyped letter
)

// nearName guesses a column by its name: one of ours with neutral words around it, or with a mistyped letter. Any other
// word changes the meaning: the phone type, the name of the dog, the e-mail opt-out. What the cells plainly hold
// overrules it, and consent is never guessed.
func (c *columns) nearName(i int) guess {
	field, confidence := nearlyOurs(strings.Fields(fold(c.header[i])))
	if field == "" || field == "consent" || c.contradicts(i, field) {
		return guess{}
	}
	return guess{i, field, confidence}
}

func nearlyOurs(name []string) (field string, confidence float64) {
	core := slices.DeleteFunc(slices.Clone(name), func(w string) bool { return neutral[w] })
	if field := Canonical(strings.Join(core, " ")); field != "" {
		return field, sureBesides
	}
	if field := misspelt(core); field != "" {
		return field, sureTypo
	}
	bare := slices.DeleteFunc(slices.Clone(core), func(w string) bool { return forNumber[w] })
	if Canonical(strings.Join(bare, " ")) == "phone" {
		return "phone", sureBesides
	}
	return misspelt(name), sureTypo
}

// misspelt is the field that has a name of as many words, each the same or with few letters wrong; "" if none or
// several have.
func misspelt(name []string) string {
	found := map[string]bool{}
	for spelled, field := range fieldOf {
		if alike(name, strings.Fields(spelled)) {
			found[field] = true
		}
	}
	if len(found) != 1 {
		return ""
	}
	for field := range found {
		return field
	}
	return ""
}

func alike(name, spelled []string) bool {
	if len(name) != len(spelled) || len(name) == 0 {
		return false
	}
	for i, w := range name {
		s := spelled[i]
		if w != s && (different[w] || w[0] != s[0] || distance(w, s) > wrongLetters(s)) {
			return false
		}
	}
	return true
}

// wrongLetters are as many as a word of some length may have.
func wrongLetters(word string) int {
	switch n := len(word); {
	case n < 5:
		return 0
	case n < 9:
		return 1
	}
	return 2
}

// distance counts letters to be added, left out, changed, or exchanged with their neighbour; 9 for words of very
// different lengths. Words are folded, and of few letters.
func distance(a, b string) int {
	if len(a)-len(b) > 2 || len(b)-len(a) > 2 {
		return 9
	}
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			changed := rows[i-1][j-1]
			if a[i-1] != b[j-1] {
				changed++
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, changed)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
