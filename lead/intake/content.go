package intake

import (
	"regexp"
	"strings"
)

var (
	addressPattern = regexp.MustCompile(`^[^\s@<>"]+@[^\s@<>"]+\.[^\s@<>"]{2,}$`)
	dayPattern     = regexp.MustCompile(`^\d{1,4}[./-]\d{1,2}[./-]\d{1,4}( |$)`)
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

// dialled tells a telephone number from other numbers, from days and from padded ones: with + or 00 it has 7 to 15
// digits, else 9 to 12 that begin with 0 or stand in brackets.
func dialled(cell string) bool {
	if !numberPattern.MatchString(cell) || dayPattern.MatchString(cell) {
		return false
	}
	cell = strings.TrimPrefix(cell, "p:")
	digits := strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, cell)
	switch n := len(digits); {
	case cell[0] == '+', strings.HasPrefix(cell, "(+"), strings.HasPrefix(digits, "00"):
		return n >= 7 && n <= 15 && !strings.HasPrefix(digits, "000")
	case cell[0] == '0', cell[0] == '(':
		return n >= 9 && n <= 12
	}
	return false
}

// Of the cells of a column, so many have to hold the same before it is taken for that.
const (
	fewestSamples = 3
	sharePlain    = .8
)

// byContent guesses a column by what its cells hold. Somebody else's address is none of the lead's.
func (c *columns) byContent(i int) guess {
	cells := c.cells(i)
	if len(cells) < min(fewestSamples, len(c.sample)) || len(cells) == 0 || ofOthers(c.header[i]) {
		return guess{}
	}
	for _, field := range []string{"email", "phone"} {
		if share := shareOf(cells, field); share >= sharePlain {
			return guess{i, field, share * sureBesides}
		}
	}
	return guess{}
}

func shareOf(cells []string, field string) float64 {
	n := 0
	for _, cell := range cells {
		if contentOf(cell) == field {
			n++
		}
	}
	return float64(n) / float64(len(cells))
}

// contradicts says that the cells of a column are plainly something else than a field holds.
func (c *columns) contradicts(i int, field string) bool {
	cells := c.cells(i)
	if len(cells) < fewestSamples {
		return false
	}
	switch field {
	case "email":
		return shareOf(cells, "email") < .5
	case "phone":
		return shareOf(cells, "email") >= .5
	}
	return shareOf(cells, "email") >= .5 || shareOf(cells, "phone") >= sharePlain && field != "postal_code"
}

// otherPeople are words of a column that is about somebody or something else than the lead.
var otherPeople = words(`owner manager assistant agent rep representative seller sales referrer referred
	parent spouse emergency created modified by from sender fax telefax pager id iban ssn tax vat birthday date status
	opt out optout besitzer berater betreuer vertreter assistenz verkaufer`)

func ofOthers(name string) bool {
	for _, w := range strings.Fields(fold(name)) {
		if otherPeople[w] {
			return true
		}
	}
	return false
}
