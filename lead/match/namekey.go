package match

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// NameKey folds a name for search and comparison: lower case, no diacritics,
// single blanks. Folding a folded name changes nothing.
func NameKey(name string) string {
	var b strings.Builder
	blank := false
	for _, r := range norm.NFKD.String(name) {
		r = unicode.ToLower(r)
		switch {
		case unicode.IsSpace(r) || unicode.IsControl(r):
			blank = b.Len() > 0
			continue
		case unicode.In(r, unicode.Mn, unicode.Cf):
			continue
		}
		if blank {
			b.WriteByte(' ')
			blank = false
		}
		if s, ok := plain[r]; ok {
			b.WriteString(s)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// plain has the letters that people also write without their stroke, but which
// Unicode does not decompose, and the apostrophes of typesetters.
var plain = map[rune]string{
	'ß': "ss", 'ø': "o", 'æ': "ae", 'œ': "oe", 'ł': "l", 'đ': "d", 'ð': "d",
	'þ': "th", 'ı': "i", 'ς': "σ", '’': "'", 'ʼ': "'",
}

// nameWords returns the words of a folded name; "Yates-Browne" has two.
func nameWords(name string) []string {
	return strings.FieldsFunc(NameKey(name), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '\''
	})
}
