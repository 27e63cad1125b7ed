package contact

import (
	"regexp"
	"strings"

	"github.com/nyaruka/phonenumbers"
)

// Number is a telephone number.
type Number struct {
	E164  string // "+442079460123"
	Valid bool   // a number that can have been given out, by libphonenumber's metadata
}

var (
	sciencePattern   = regexp.MustCompile(`(?i)^[+']*\d+([.,]\d+)?E\+?\d+$`)
	separatorPattern = regexp.MustCompile(`(?i)\s*(;|\n|:::|\||\bor\b|\boder\b|\bou\b|\s/\s)\s*`)
)

// Phone reads a telephone number as people write it. country (ISO 3166 alpha-2) is where a number is from that
// does not say it; "" unknown. Of several in one cell the first that can be read counts. code says what is
// wrong, "" if nothing is.
func Phone(raw, country string) (n Number, code string) {
	s := strings.TrimFunc(strings.ToValidUTF8(raw, "\uFFFD"), isBlank)
	s = strings.TrimPrefix(s, "p:") // of Meta's lead files
	s = strings.TrimPrefix(s, "'")  // of spreadsheets, to keep a number text
	if sciencePattern.MatchString(s) {
		return Number{}, "spreadsheet_number"
	}
	code = "unreadable"
	for _, part := range separatorPattern.Split(s, 4) {
		var ok bool
		if n, ok = parsePhone(part, country); ok {
			return n, ""
		}
	}
	if country == "" && !strings.HasPrefix(s, "+") && !strings.HasPrefix(s, "00") && digits(s) >= 6 {
		code = "no_country"
	}
	return Number{}, code
}

func parsePhone(s, country string) (Number, bool) {
	if country == "" {
		if international, ok := strings.CutPrefix(s, "00"); ok {
			s = "+" + international
		}
		country = "ZZ" // libphonenumber's word for unknown
	}
	if len(s) > 100 || strings.ContainsRune(s, '@') {
		return Number{}, false
	}
	n, err := phonenumbers.Parse(s, country)
	if err != nil || !phonenumbers.IsPossibleNumber(n) {
		return Number{}, false
	}
	return Number{E164: phonenumbers.Format(n, phonenumbers.E164), Valid: phonenumbers.IsValidNumber(n)}, true
}

func digits(s string) (n int) {
	for _, r := range s {
		if r >= '0' && r <= '9' {
			n++
		}
	}
	return n
}

// PhoneKey is what two submissions of one person share.
func PhoneKey(e164 string) string { return "p:" + e164 }
