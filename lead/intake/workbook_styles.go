package intake

import (
	"regexp"
	"strconv"
	"strings"
)

// mostStyles are more than Excel allows (65,490).
const mostStyles = 70_000

// shape is how a number is shown.
type shape struct {
	date, time bool   // as a day, a time of day, or both
	elapsed    bool   // as hours beyond 24
	percent    bool   // as hundredths
	digits     string // literal text with the place of digits: "(000) 000-0000"; "" plainly
}

// styles are the shapes that cells name by number.
type styles []shape

// at is the shape of a style's number as it stands in a cell; plain if there is none.
func (s styles) at(number string) shape {
	i, err := strconv.Atoi(number)
	if err != nil || i < 0 || i >= len(s) {
		return shape{}
	}
	return s[i]
}

func (w *workbook) readStyles(name string) (all styles, err error) {
	codes, inCells := map[string]string{}, false
	err = w.each(name, func(e element) error {
		switch e.name {
		case "numFmt":
			if len(codes) < mostStyles {
				codes[e.get("numFmtId")] = e.get("formatCode")
			}
		case "cellStyleXfs", "cellStyles", "dxfs":
			inCells = false
		case "cellXfs":
			inCells = true
		case "xf":
			if inCells && len(all) < mostStyles {
				all = append(all, shapeOf(e.get("numFmtId"), codes))
			}
		}
		return nil
	})
	return all, err
}

// shapeOf reads a format: one of Excel's own by its number, or one of the workbook's.
func shapeOf(id string, codes map[string]string) shape {
	if code, own := codes[id]; own {
		return parseShape(code)
	}
	n, _ := strconv.Atoi(id)
	switch {
	case n >= 14 && n <= 17, n >= 27 && n <= 31, n == 36, n >= 50 && n <= 54, n == 57, n == 58:
		return shape{date: true}
	case n == 22:
		return shape{date: true, time: true}
	case n >= 18 && n <= 21, n >= 32 && n <= 35, n == 45, n == 47, n == 55, n == 56:
		return shape{time: true}
	case n == 46:
		return shape{time: true, elapsed: true}
	case n == 9, n == 10:
		return shape{percent: true}
	}
	return shape{}
}

// literalPattern is what of a format code stands for itself or for nothing: "text", \-, the width of a character,
// filling, colours and currencies. Hours beyond 24 and conditions stay.
var literalPattern = regexp.MustCompile(`"[^"]*"|\\.|[_*].|\[(?:\$|[A-Za-z]{3})[^]]*\]`)

// parseShape reads the first section of a format code, that of positive numbers.
func parseShape(code string) shape {
	code, _, _ = strings.Cut(code, ";")
	active := strings.ToLower(literalPattern.ReplaceAllString(code, ""))
	switch hours := strings.ContainsAny(active, "hs"); {
	case strings.Contains(active, "general"), active == "@":
		return shape{}
	case strings.Contains(active, "[h") || strings.Contains(active, "[m") || strings.Contains(active, "[s"):
		return shape{time: true, elapsed: true}
	case strings.ContainsAny(active, "yd") || strings.Contains(active, "m") && !hours:
		return shape{date: true, time: hours}
	case hours:
		return shape{time: true}
	case strings.Contains(active, "%"):
		return shape{percent: true}
	case strings.ContainsAny(active, "0#") && strings.Trim(active, "0#-()+/ ") == "":
		return shape{digits: placeholders(code)}
	}
	return shape{}
}

// placeholders is a format code with its literals bare; "" if a digit among them would be taken for a place.
func placeholders(code string) string {
	digit := false
	bare := literalPattern.ReplaceAllStringFunc(code, func(l string) string {
		switch l[0] {
		case '"':
			l = l[1 : len(l)-1]
		case '\\':
			l = l[1:]
		default:
			return ""
		}
		digit = digit || strings.ContainsAny(l, "0#")
		return l
	})
	if digit {
		return ""
	}
	return bare
}
