package intake

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Rows reads a CSV file row by row, in the memory of one row. Encoding, delimiter, line ends and a preamble before
// the header are recognised.
type Rows struct {
	csv    *csv.Reader
	header []string
	line   int
	row    int64
}

// Limits of a file.
const (
	longestLine = 1 << 20 // bytes of one physical line, and of one row
	mostColumns = mostKeys
	preamble    = 10 // lines before the header at most
)

// ErrFile is a file that cannot be read as a table. Its text is for the person who sent it.
var ErrFile = errors.New("the file cannot be read as a table")

// OpenCSV reads as far as the header. The error wraps ErrFile, or is the reader's own.
func OpenCSV(r io.Reader) (*Rows, error) {
	guarded := &lineGuard{in: lineEnds{asUTF8(r)}}
	in := bufio.NewReaderSize(guarded, looked)
	start, err := in.Peek(looked)
	if err != nil && err != io.EOF && err != bufio.ErrBufferFull {
		return nil, err
	}
	if len(bytes.TrimSpace(start)) == 0 {
		return nil, fmt.Errorf("%w: it is empty", ErrFile)
	}
	rows := &Rows{csv: csv.NewReader(in)}
	rows.csv.Comma = delimiter(start)
	rows.csv.LazyQuotes = true
	rows.csv.FieldsPerRecord = -1
	return rows, rows.readHeader()
}

// readHeader takes the first row that names a field of ours; if none of the first ones does, the first row it is.
func (r *Rows) readHeader() error {
	var first []string
	for range preamble {
		cells, err := r.read()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if first == nil {
			first = cells
		}
		if namesFields(cells) {
			first = cells
			break
		}
		if len(cells) > 1 && len(first) > 1 {
			break // a table without names of ours: its first row is the header
		}
	}
	if first == nil {
		return fmt.Errorf("%w: it has no rows", ErrFile)
	}
	if len(first) > mostColumns {
		return fmt.Errorf("%w: it has more than %d columns", ErrFile, mostColumns)
	}
	r.header = unique(first)
	return nil
}

// namesFields says that a row looks like a header: two names of ours, or alone that of an address or a number. One
// other word alone may be the title of a preamble.
func namesFields(cells []string) bool {
	known := 0
	for _, c := range cells {
		switch Canonical(c) {
		case "":
		case "email", "phone":
			known += 2
		default:
			known++
		}
	}
	return known >= 2
}

// unique names the columns that have no name, and numbers those whose name is taken.
func unique(cells []string) []string {
	header, taken := make([]string, len(cells)), map[string]bool{}
	for i, c := range cells {
		name := strings.TrimSpace(c)
		if name == "" {
			name = column(i)
		}
		for n := 2; taken[name]; n++ {
			name = fmt.Sprintf("%s %d", strings.TrimSpace(c), n)
		}
		taken[name], header[i] = true, name
	}
	return header
}

func column(i int) string { return fmt.Sprintf("column_%d", i+1) }

// delimiter is the one that the lines at the start have most evenly: , ; tab or |.
func delimiter(start []byte) rune {
	best, most := ',', 0
	for _, d := range ",;\t|" {
		if n := columns(start, d); n > most {
			best, most = d, n
		}
	}
	return best
}

// columns is how many columns most of the first lines agree on, quoted text left out; 0 if they have only one.
func columns(start []byte, d rune) int {
	counts := map[int]int{}
	n, quoted := 0, false
	for _, c := range string(start) {
		switch {
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == d:
			n++
		case c == '\n':
			counts[n]++
			n = 0
		}
	}
	if len(counts) == 0 {
		return n
	}
	agreed, lines := 0, 0
	for n, times := range counts {
		if times > lines || times == lines && n > agreed {
			agreed, lines = n, times
		}
	}
	return agreed * lines
}

// Header are the names of the columns, unique and not empty.
func (r *Rows) Header() []string { return r.header }

// Line is the physical line, from 1, that the last row begins at.
func (r *Rows) Line() int { return r.line }

// Row is the number of the last row, from 1, the header not counted.
func (r *Rows) Row() int64 { return r.row }

// Next returns the cells of the next row that is not blank, as many as the header has or more; io.EOF after the last.
// Other errors wrap ErrFile or are the reader's own.
func (r *Rows) Next() ([]string, error) {
	for {
		cells, err := r.read()
		if err != nil {
			return nil, err
		}
		if strings.TrimSpace(strings.Join(cells, "")) == "" {
			continue
		}
		for len(cells) < len(r.header) {
			cells = append(cells, "")
		}
		if len(cells) > mostColumns {
			return nil, fmt.Errorf("%w: line %d has more than %d columns", ErrFile, r.line, mostColumns)
		}
		r.row++
		return cells, nil
	}
}

func (r *Rows) read() ([]string, error) {
	cells, err := r.csv.Read()
	var syntax *csv.ParseError
	if errors.As(err, &syntax) {
		return nil, fmt.Errorf("%w: line %d: %w", ErrFile, syntax.Line, syntax.Err)
	}
	if err != nil {
		return nil, err
	}
	r.line, _ = r.csv.FieldPos(0)
	return cells, nil
}

// lineGuard refuses a row that never ends before it fills the memory. A quoted cell may hold line breaks, so quotes count
// as well: one opens a cell only at its start.
type lineGuard struct {
	in       io.Reader
	length   int
	quoted   bool
	previous byte
}

// Read is io.Reader.
func (g *lineGuard) Read(p []byte) (int, error) {
	n, err := g.in.Read(p)
	for _, c := range p[:n] {
		g.length++
		switch {
		case c == '"' && (g.quoted || g.length == 1 || strings.IndexByte(",;\t|", g.previous) >= 0):
			g.quoted = !g.quoted
		case c == '\n' && !g.quoted:
			g.length = 0
		}
		g.previous = c
		if g.length > longestLine {
			return 0, fmt.Errorf("%w: a row is longer than %d bytes, or a quotation mark is never closed", ErrFile, longestLine)
		}
	}
	return n, err
}

// RowPayload writes a row as a JSON object in the order of the header. Cells beyond the header get names of their
// own; empty ones are left out.
func RowPayload(header, cells []string) []byte {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, cell := range cells {
		if strings.TrimSpace(cell) == "" {
			continue
		}
		name := column(i)
		if i < len(header) {
			name = header[i]
		}
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		b.Write(quoted(name))
		b.WriteByte(':')
		b.Write(quoted(cell))
	}
	b.WriteByte('}')
	return b.Bytes()
}

func quoted(s string) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(strings.ToValidUTF8(s, "\uFFFD")) // a string is always marshallable
	return bytes.TrimRight(b.Bytes(), "\n")
}
