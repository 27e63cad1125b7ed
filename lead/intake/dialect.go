package intake

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
)

// dialect is how a text is cut into cells, and where its header is.
type dialect struct {
	delimiter byte
	quote     byte // 0: none
	lineEnds  string
	skip      int // physical lines before the header, or before the first row if there is none
	headless  bool
	width     int // columns, if headless
}

const delimiters = ",;\t|"

// lookedRows are as many as tell a dialect; the header is within the first of them.
const (
	lookedRows    = 200
	preambleLines = 30
)

// recognise tells the dialect from the start of a text; whole: that is all of it.
func recognise(start []byte, whole bool, o Options) (dialect, error) {
	d := dialect{lineEnds: lineEndsOf(start)}
	if err := o.check(); err != nil {
		return d, err
	}
	separator, skip := excelLine(start)
	best := -1
	for _, delimiter := range []byte(delimiters) {
		if ordered := o.Delimiter; ordered != "" && ordered[0] != delimiter {
			continue
		}
		if o.Delimiter == "" && separator != 0 && separator != delimiter {
			continue
		}
		try := dialect{delimiter: delimiter, lineEnds: d.lineEnds}
		if score := try.fit(start[skip:], whole, o); score > best {
			best, d = score, try
		}
	}
	if skip > 0 && o.Header <= 0 {
		d.skip++
	}
	return d, nil
}

// check says which option is none.
func (o Options) check() error {
	switch {
	case o.Delimiter != "" && (len(o.Delimiter) > 1 || !strings.Contains(delimiters, o.Delimiter)):
		return fmt.Errorf("%w: its delimiter can be a comma, a semicolon, a tab or |", ErrFile)
	case o.Quote != "" && o.Quote != `"` && o.Quote != `'` && o.Quote != "none":
		return fmt.Errorf("%w: its quotation mark can be \", ' or none", ErrFile)
	case o.Header < -1:
		return fmt.Errorf("%w: its header is in a line from 1 on, or -1 if there is none", ErrFile)
	}
	return nil
}

// excelLine reads the line "sep=;" with which Excel is told the delimiter, and says where the next begins.
func excelLine(start []byte) (separator byte, skip int) {
	line, _, found := bytes.Cut(start[:min(len(start), 16)], []byte("\n"))
	if !found {
		line, _, found = bytes.Cut(line, []byte("\r"))
	}
	text := strings.Trim(string(line), "\r\"")
	if !found || len(text) != 5 || !strings.EqualFold(text[:4], "sep=") || !strings.Contains(delimiters, text[4:]) {
		return 0, 0
	}
	return text[4], len(line) + 1
}

// lineEndsOf names the line ends.
func lineEndsOf(start []byte) string {
	start = bytes.TrimRight(start, "\r")
	crlf := bytes.Count(start, []byte("\r\n"))
	lf, cr := bytes.Count(start, []byte("\n"))-crlf, bytes.Count(start, []byte("\r"))-crlf
	switch {
	case cr == 0 && crlf == 0:
		return "LF"
	case lf == 0 && cr == 0:
		return "CRLF"
	case lf == 0 && crlf == 0:
		return "CR"
	}
	return "mixed"
}

// fit chooses the quotation mark, places the header, and says how well the rows then fit together.
func (d *dialect) fit(start []byte, whole bool, o Options) (score int) {
	switch o.Quote {
	case "none":
	case "":
		d.quote = d.usualQuote(start, whole)
	default:
		d.quote = o.Quote[0]
	}
	return d.find(d.read(start, whole, lookedRows), o)
}

// usualQuote is " unless most cells stand between two apostrophes and none begins with ", or taking " for one glues
// lines together that fit without.
func (d dialect) usualQuote(start []byte, whole bool) byte {
	bare := d.read(start, whole, lookedRows)
	if betweenApostrophes(bare) {
		return '\''
	}
	d.quote = '"'
	quoted := d.read(start, whole, lookedRows)
	width, agreeing := usualWidth(bare)
	if width > 1 && agreeing*10 >= len(bare)*9 && len(quoted)*2 < len(bare) {
		return 0
	}
	return '"'
}

func betweenApostrophes(rows []physicalRow) bool {
	between, filled := 0, 0
	for _, r := range rows {
		for _, c := range r.cells {
			switch c = strings.TrimSpace(c); {
			case strings.HasPrefix(c, `"`):
				return false
			case len(c) > 1 && c[0] == '\'' && c[len(c)-1] == '\'':
				between++
			}
			if c != "" {
				filled++
			}
		}
	}
	return between*2 > filled
}

// physicalRow is a record and the line that it begins at.
type physicalRow struct {
	cells []string
	line  int
}

// read cuts up to n rows that are not blank from the start of a text; one that is cut off is left out.
func (d dialect) read(start []byte, whole bool, n int) (rows []physicalRow) {
	s := newScanner(bytes.NewReader(start), d)
	for len(rows) < n && s.advance() == nil {
		if !whole && s.failed == io.EOF && s.at == s.end && len(rows) > 0 {
			break
		}
		if !s.blank() {
			rows = append(rows, physicalRow{s.cells(), s.start})
		}
	}
	return rows
}

// find places the header and says how well the rows fit together.
func (d *dialect) find(rows []physicalRow, o Options) (score int) {
	width, agreeing := usualWidth(rows)
	d.width = width
	if agreeing*2 <= len(rows) {
		width = min(width, 2) // ragged: no width is the usual one
	}
	at, known := headerOf(rows, width)
	switch {
	case o.Header > 0:
		d.skip = o.Header - 1
	case o.Header < 0:
		d.headless = true
	case at < len(rows):
		d.skip = rows[at].line - 1
		d.headless = known == 0 && isData(rows[at].cells)
	}
	if width < 2 {
		return known * 10_000
	}
	return known*10_000 + 100*(agreeing*100/len(rows)) + min(width, 99)
}

// isData says that a row holds an address or a number, and so is no header.
func isData(cells []string) bool {
	return slices.ContainsFunc(cells, func(c string) bool { return contentOf(c) != "" })
}

// usualWidth is how many cells most rows have, and how many rows that is; of two as frequent the wider.
func usualWidth(rows []physicalRow) (width, agreeing int) {
	counts := map[int]int{}
	for _, r := range rows {
		counts[len(r.cells)]++
	}
	for w, n := range counts {
		if n > agreeing || n == agreeing && w > width {
			width, agreeing = w, n
		}
	}
	return width, agreeing
}

// headerOf is the row among the first that names fields of ours most plainly; if none does, the first that is as wide
// as most are: what stands before is a preamble.
func headerOf(rows []physicalRow, width int) (at, known int) {
	first := -1
	for i, r := range rows[:min(len(rows), preambleLines)] {
		if n := namesFields(r.cells); n >= 2 && n > known && !isData(r.cells) {
			at, known = i, n
		}
		if first < 0 && len(r.cells) >= width {
			first = i
		}
	}
	if known > 0 {
		return at, known
	}
	return max(first, 0), 0
}

// format is what of a dialect is shown.
func (d dialect) format(c charset) Format {
	f := Format{
		Kind: "csv", Encoding: c.name, BOM: c.mark > 0,
		Delimiter: string(d.delimiter), Quote: "none", LineEnds: d.lineEnds,
	}
	if d.quote != 0 {
		f.Quote = string(d.quote)
	}
	if c.note != "" {
		f.Notes = append(f.Notes, c.note)
	}
	return f
}
