package intake

import (
	"regexp"
	"strings"
)

var (
	addressPattern = regexp.MustCompile(`^[^\s@<>"]+@[^\s@<>"]+\.[^\s@<>"]{2,}$`)
	numberPattern  = regexp.MustCompile(`^(p:)?[+(]?\+?[\d() ./\x{2011}-]+$`)
)

// contentOf is the field that a cell plainly holds: an address, or a number that is written as one dials it; "" if it
// does not say.
func contentOf(cell string) string {
	cell = strings.TrimSpace(cell)
	switch {
	case len(cell) > 254:
		return ""
	case addressPattern.MatchString(address(cell)):
		return "email"
	case dialled(cell):
		return "phone"
	}
	return ""
}

// address is what stands between the brackets of "Name <address>".
func address(cell string) string {
	cell = strings.TrimPrefix(cell, "mailto:")
	if open := strings.LastIndexByte(cell, '<'); open >= 0 && strings.HasSuffix(cell, ">") {
		return strings.TrimSpace(cell[open+1 : len(cell)-1])
	}
	return cell
}

// dialled tells a telephone number from other numbers: it begins with +, 0 or a bracket, and has 7 to 15 digits.
func dialled(cell string) bool {
	if !numberPattern.MatchString(cell) {
		return false
	}
	cell = strings.TrimPrefix(cell, "p:")
	digits := 0
	for _, r := range cell {
		if r >= '0' && r <= '9' {
			digits++
		}
	}
	return digits >= 7 && digits <= 15 && strings.IndexByte("+0(", cell[0]) >= 0
}
