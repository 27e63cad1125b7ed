package intake

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// mostExact is up to where every whole number has a float64 of its own.
const mostExact = 1 << 53

// number writes a number of a cell as people see it. A whole number has all its digits, also one that a spreadsheet
// shows as 4.47911E+11: it is a telephone number. Days are written as 2006-01-02, whatever language the workbook has.
func (w *workbook) number(raw string, s shape) string {
	x, err := strconv.ParseFloat(strings.TrimSpace(raw), 64)
	if err != nil || math.IsInf(x, 0) || math.IsNaN(x) {
		return raw
	}
	switch {
	case s.date || s.time:
		if text, ok := w.moment(x, s); ok {
			return text
		}
	case s.percent:
		return plainNumber(x*100) + "%"
	case s.digits != "" && x >= 0 && x == math.Trunc(x) && x < mostExact:
		return fillIn(s.digits, strconv.FormatFloat(x, 'f', 0, 64))
	}
	return plainNumber(x)
}

// plainNumber writes the 15 digits that a spreadsheet keeps, without an exponent where people would not write one.
func plainNumber(x float64) string {
	if x == math.Trunc(x) && math.Abs(x) < mostExact {
		return strconv.FormatFloat(x+0, 'f', 0, 64) // no minus before 0
	}
	x, _ = strconv.ParseFloat(strconv.FormatFloat(x, 'g', 15, 64), 64)
	if a := math.Abs(x); a >= 1e21 || a < 1e-9 {
		return strconv.FormatFloat(x, 'G', -1, 64)
	}
	return strconv.FormatFloat(x, 'f', -1, 64)
}

// fillIn puts digits from the right into the places of a pattern: 0 is filled with zeros, # is left out; digits for
// which there is no place stand before the first.
func fillIn(pattern, digits string) string {
	first := strings.IndexAny(pattern, "0#")
	out := make([]byte, 0, len(pattern)+len(digits))
	for i := len(pattern) - 1; i >= 0; i-- {
		c := pattern[i]
		last := len(digits) - 1
		switch {
		case c != '0' && c != '#':
			out = append(out, c)
		case last >= 0:
			out, digits = append(out, digits[last]), digits[:last]
		case c == '0':
			out = append(out, '0')
		}
		for ; i == first && len(digits) > 0; digits = digits[:len(digits)-1] {
			out = append(out, digits[len(digits)-1])
		}
	}
	for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
		out[i], out[j] = out[j], out[i]
	}
	return string(out)
}

// Days of spreadsheets.
const (
	lastDay    = 2958466 // the first of the year 10000
	daysTo1904 = 1462
)

// moment writes a day and a time of day, which count from 1900 or 1904; false if it is none that there is. In 1900 Excel
// has a 29th of February.
func (w *workbook) moment(x float64, s shape) (string, bool) {
	if w.in1904 && s.date {
		x += daysTo1904
	}
	if x < 0 || x >= lastDay {
		return "", false
	}
	days := int(x)
	seconds := int(math.Round((x - float64(days)) * 86400))
	clock := func(hours int) string {
		text := twoDigits(hours) + ":" + twoDigits(seconds/60%60)
		if seconds%60 != 0 {
			text += ":" + twoDigits(seconds%60)
		}
		return text
	}
	switch {
	case s.elapsed:
		return clock(days*24 + seconds/3600), true
	case !s.date:
		return clock(seconds / 3600 % 24), true
	}
	if days < 60 {
		days++
	}
	day := time.Date(1899, 12, 30, 0, 0, seconds, 0, time.UTC).AddDate(0, 0, days)
	if seconds %= 86400; !s.time && seconds == 0 {
		return day.Format(time.DateOnly), true
	}
	return day.Format(time.DateOnly) + " " + clock(seconds/3600), true
}

func twoDigits(n int) string {
	if n < 10 {
		return "0" + strconv.Itoa(n)
	}
	return strconv.Itoa(n)
}
