package intake

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// Options override what is recognised of a file. The zero value of each means: recognise it.
type Options struct {
	Encoding  string `json:"encoding,omitempty"`  // "utf-8", "utf-16le", "windows-1252" and the other names of the WHATWG
	Delimiter string `json:"delimiter,omitempty"` // "," ";" "\t" or "|"
	Quote     string `json:"quote,omitempty"`     // `"`, `'` or "none"
	Header    int    `json:"header,omitempty"`    // physical line (of a sheet: row) of the header, from 1; -1: there is none
	Sheet     string `json:"sheet,omitempty"`     // of a workbook
}

// Format is what was recognised of a file, or ordered, to be shown to whoever sent it.
type Format struct {
	Kind       string   `json:"kind"`                // "csv" or "xlsx"
	Encoding   string   `json:"encoding,omitempty"`  // of CSV, as in Options
	Delimiter  string   `json:"delimiter,omitempty"` // of CSV, as in Options
	Quote      string   `json:"quote,omitempty"`     // of CSV, as in Options
	LineEnds   string   `json:"line_ends,omitempty"` // of CSV: "LF", "CRLF", "CR" or "mixed"
	Sheet      string   `json:"sheet,omitempty"`     // of a workbook: the one that is read
	Sheets     []string `json:"sheets,omitempty"`    // of a workbook: those that can be read, hidden ones left out
	BOM        bool     `json:"bom,omitempty"`       // a byte order mark says the encoding
	Preamble   int      `json:"preamble,omitempty"`  // physical lines before the header
	HeaderLine int      `json:"header_line"`         // physical line of the header, from 1; 0: there is none
	Notes      []string `json:"notes,omitempty"`     // sentences about what people may not expect
}

// Table reads a file row by row, in the memory of one row. The same bytes with the same options give the same rows,
// always. It is for one goroutine.
type Table struct {
	format Format
	header []string
	rows   records
	row    int64
}

// records are the rows of a file of some kind, one after the other.
type records interface {
	advance() error  // to the next row, blank ones included; io.EOF after the last
	blank() bool     // the row holds nothing but white space
	cells() []string // of the row; the caller may keep them
	physical() int   // line that the row begins at, from 1
	io.Closer
}

// Limits of a file.
const (
	longestRow  = 1 << 20 // bytes of one row, quoted line breaks included
	mostColumns = mostKeys
)

// ErrFile is a file that cannot be read as a table. Its text is for the person who sent it.
var ErrFile = errors.New("the file cannot be read as a table")

// Format is what the file was taken for.
func (t *Table) Format() Format { return t.format }

// Header are the names of the columns, unique and not empty.
func (t *Table) Header() []string { return t.header }

// Line is the physical line, or the row of the sheet, from 1, that the last row begins at.
func (t *Table) Line() int { return t.rows.physical() }

// Row is the number of the last row, from 1, blank ones and the header not counted.
func (t *Table) Row() int64 { return t.row }

// Close gives back what the file holds; the reader that it was opened on stays open.
func (t *Table) Close() error { return t.rows.Close() }

// Next returns the cells of the next row that is not blank, as many as the header has or more; io.EOF after the last.
// Other errors wrap ErrFile or are the reader's own.
func (t *Table) Next() ([]string, error) {
	if err := t.advance(); err != nil {
		return nil, err
	}
	cells := t.rows.cells()
	for len(cells) > len(t.header) && strings.TrimSpace(cells[len(cells)-1]) == "" {
		cells = cells[:len(cells)-1]
	}
	if len(cells) > mostColumns {
		return nil, fmt.Errorf("%w: line %d has more than %d columns", ErrFile, t.Line(), mostColumns)
	}
	for len(cells) < len(t.header) {
		cells = append(cells, "")
	}
	return cells, nil
}

// Skip passes over the next n rows that are not blank, cheaper than Next does. The error is io.EOF if there are
// fewer, else as that of Next.
func (t *Table) Skip(n int64) error {
	for range n {
		if err := t.advance(); err != nil {
			return err
		}
	}
	return nil
}

// advance goes to the next row that is not blank.
func (t *Table) advance() error {
	for {
		if err := t.rows.advance(); err != nil {
			return err
		}
		if !t.rows.blank() {
			t.row++
			return nil
		}
	}
}
