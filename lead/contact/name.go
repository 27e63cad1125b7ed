package contact

import (
	"strings"
	"unicode"
)

// people cleans the three name fields and derives those that are missing.
func (n *normaliser) people() {
	var v [3]string
	for i, field := range nameFields {
		value, note := cleanText(n.from[field], false)
		if cut, shortened := shorten(value, 200); shortened {
			value, note = cut, "shortened"
			n.reason(field, "too_long")
		}
		v[i] = PersonName(value)
		n.put(field, v[i], note)
	}
	name, first, last := v[0], v[1], v[2]
	switch {
	case name == "" && first+last != "":
		n.derive("name", strings.TrimSpace(first+" "+last))
	case name != "" && first+last == "":
		first, last = SplitName(name)
		n.derive("first_name", first)
		n.derive("last_name", last)
	}
}

func (n *normaliser) derive(field, value string) {
	if value != "" {
		n.put(field, value, "derived")
	}
}

// particles stay small inside of a name.
var particles = map[string]bool{
	"van": true, "von": true, "der": true, "den": true, "de": true, "del": true, "della": true, "di": true, "da": true,
	"dos": true, "du": true, "la": true, "le": true, "ter": true, "ten": true, "zu": true, "zum": true, "zur": true,
	"af": true, "av": true, "bin": true, "y": true, "e": true,
}

// PersonName mends the letters of a name that is written all in capitals or all in small ones; any other spelling
// is left to its owner. "o'BRIEN" keeps its letters, "O'BRIEN" becomes "O'Brien".
func PersonName(s string) string {
	if s != strings.ToUpper(s) && s != strings.ToLower(s) || !strings.ContainsFunc(s, unicode.IsLetter) {
		return s
	}
	words := strings.Fields(strings.ToLower(s))
	for i, w := range words {
		if i > 0 && particles[w] {
			continue
		}
		words[i] = capitalise(w)
	}
	return strings.Join(words, " ")
}

// capitalise raises the first letter and those behind a hyphen, an apostrophe after one letter, a dot, and "mc".
func capitalise(word string) string {
	runes := []rune(word)
	up := true
	for i, r := range runes {
		if up && unicode.IsLetter(r) {
			runes[i] = unicode.ToTitle(r)
			up = false
		}
		switch {
		case r == '-', r == '.':
			up = true
		case (r == '\'' || r == '’') && i == 1:
			up = true
		case r == 'c' && i == 1 && runes[0] == 'M' && len(runes) > 4:
			up = true
		}
	}
	return string(runes)
}

// SplitName cuts a full name into given and family name: "Lovelace, Ada" at the comma, else before the last word and the
// particles in front of it. One word is a given name.
func SplitName(name string) (first, last string) {
	if family, given, found := strings.Cut(name, ", "); found && !strings.Contains(given, ",") {
		return given, family
	}
	words := strings.Fields(name)
	if len(words) < 2 {
		return name, ""
	}
	at := len(words) - 1
	for at > 1 && particles[strings.ToLower(words[at-1])] {
		at--
	}
	return strings.Join(words[:at], " "), strings.Join(words[at:], " ")
}
