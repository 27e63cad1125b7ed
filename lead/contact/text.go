package contact

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// tidy makes text storable and nothing more: valid UTF-8 without NUL, which PostgreSQL refuses.
func tidy(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "")
}

// isBlank is white space as people see it: no-break and zero-width ones too.
func isBlank(r rune) bool {
	return unicode.IsSpace(r) || r == '\u200B' || r == '\u2060' || r == '\uFEFF'
}

var lineEnds = strings.NewReplacer("\r\n", "\n", "\r", "\n")

// cleanText composes characters (NFC), removes control characters and outer blanks, and makes one blank of several. Lines
// are kept where they are asked for. The note says if control characters were removed.
func cleanText(s string, lines bool) (value, note string) {
	s = strings.ToValidUTF8(s, "\uFFFD")
	s = lineEnds.Replace(s)
	bare := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, s)
	if bare != s {
		note = "control_characters_removed"
	}
	bare = norm.NFC.String(bare)
	if !lines {
		return strings.Join(strings.FieldsFunc(bare, isBlank), " "), note
	}
	rows := strings.Split(bare, "\n")
	for i, row := range rows {
		rows[i] = strings.Join(strings.FieldsFunc(row, isBlank), " ")
	}
	return strings.Trim(strings.Join(rows, "\n"), "\n"), note
}

// shorten keeps the first n characters.
func shorten(s string, n int) (string, bool) {
	if utf8.RuneCountInString(s) <= n {
		return s, false
	}
	return strings.TrimRightFunc(string([]rune(s)[:n]), isBlank), true
}

var linkPattern = regexp.MustCompile(`(?i)\b(https?://|www\.)\S`)

func hasLink(s string) bool   { return linkPattern.MatchString(s) }
func countLinks(s string) int { return len(linkPattern.FindAllStringIndex(s, -1)) }

// damaged finds what a wrong decoding leaves: the replacement character, invalid UTF-8, and the boxes of old code pages.
func damaged(s string) bool {
	return !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool {
		return r == '\uFFFD' || r >= 0x2500 && r <= 0x259F
	})
}

// sheetErrors are what spreadsheets show in place of a value; the last stands for a formula that was never worked out.
var sheetErrors = []string{"#N/A", "#REF!", "#VALUE!", "#NAME?", "#DIV/0!", "#NUM!", "#NULL!", "#SPILL!", "#CALC!", "#FIELD!", "#FORMULA!"}

func sheetError(s string) bool { return slices.Contains(sheetErrors, strings.TrimFunc(s, isBlank)) }
