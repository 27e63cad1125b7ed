package intake

import (
	"fmt"
	"io"
	"strconv"
	"strings"
)

// sheetRows reads the rows of a sheet, in the memory of one row.
type sheetRows struct {
	book *workbook
	part io.ReadCloser
	xml  *elements
	line int
	skip int      // rows up to this one are passed over
	text []string // of the row's cells
	size int      // bytes of them
	raw  []byte   // value of the cell that is being read

	inData bool // the end of the sheet's data has yet to come
}

// uncalculated stands in a cell whose formula was never worked out, as programs write them that are no spreadsheet.
const uncalculated = "#FORMULA!"

func (w *workbook) openSheet(s sheet) (*sheetRows, error) {
	part, err := w.open(s.part)
	if err != nil {
		return nil, err
	}
	return &sheetRows{book: w, part: part, xml: newElements(part)}, nil
}

// Close ends the unpacking.
func (r *sheetRows) Close() error { return r.part.Close() }

func (r *sheetRows) physical() int { return r.line }

func (r *sheetRows) cells() []string { return append([]string(nil), r.text...) }

func (r *sheetRows) blank() bool {
	for _, c := range r.text {
		if strings.TrimSpace(c) != "" {
			return false
		}
	}
	return true
}

// advance reads the next row that the sheet holds; empty ones it does not.
func (r *sheetRows) advance() error {
	for {
		e, err := r.xml.next()
		switch {
		case err == io.EOF && r.inData:
			return damaged(io.ErrUnexpectedEOF)
		case err == io.EOF:
			return io.EOF
		case err != nil:
			return damaged(err)
		case e.name == "sheetData":
			if r.inData = e.start; !e.start {
				return io.EOF
			}
		case e.name == "row" && e.start:
			r.line++
			if n, err := strconv.Atoi(e.get("r")); err == nil && n > 0 {
				r.line = n
			}
			if err := r.readRow(); err != nil {
				return damaged(err)
			}
			if r.line > r.skip {
				return nil
			}
		}
	}
}

func (r *sheetRows) readRow() error {
	r.text, r.size = r.text[:0], 0
	next := 0
	for {
		e, err := r.xml.next()
		switch {
		case err == io.EOF:
			return io.ErrUnexpectedEOF
		case err != nil:
			return err
		case e.name == "row" && !e.start:
			return nil
		case e.name == "c" && e.start:
			at := columnOf(e.get("r"), next)
			next = at + 1
			text, err := r.readCell(e.get("t"), e.get("s"))
			if err != nil {
				return err
			}
			if err := r.put(at, text); err != nil {
				return err
			}
		}
	}
}

// columnOf is the place, from 0, that a cell's name says, "C5" is 2; if it says none, the next one it is.
func columnOf(name string, next int) int {
	n := 0
	for _, c := range name {
		if c|0x20 < 'a' || c|0x20 > 'z' || n > 1<<20 {
			break
		}
		n = n*26 + int(c|0x20-'a') + 1
	}
	if n == 0 {
		return next
	}
	return n - 1
}

// put sets a cell of the row. One that is empty takes no place: sheets have thousands of them at the right.
func (r *sheetRows) put(at int, text string) error {
	if text == "" {
		return nil
	}
	if at >= mostColumns {
		return fmt.Errorf("%w: row %d has more than %d columns", ErrFile, r.line, mostColumns)
	}
	if r.size += len(text); r.size > longestRow {
		return fmt.Errorf("%w: row %d is longer than %d bytes", ErrFile, r.line, longestRow)
	}
	for len(r.text) <= at {
		r.text = append(r.text, "")
	}
	r.text[at] = text
	return nil
}

// readCell reads up to the end of a cell of a type and a style.
func (r *sheetRows) readCell(kind, style string) (string, error) {
	r.raw = r.raw[:0]
	formula, worked, inValue := false, false, false
	for {
		e, err := r.xml.next()
		switch {
		case err == io.EOF:
			return "", io.ErrUnexpectedEOF
		case err != nil:
			return "", err
		case e.name == "c" && !e.start:
			if formula && !worked {
				return uncalculated, nil
			}
			return r.value(kind, style, string(r.raw))
		case e.name == "v":
			inValue, worked = e.start, true
		case e.name == "f" && e.start:
			formula = true
		case e.name == "is" && e.start:
			text, err := r.xml.richText("is")
			if err != nil {
				return "", err
			}
			r.raw = append(r.raw, text...)
		case e.name == "" && inValue:
			if r.raw = append(r.raw, e.text...); len(r.raw) > longestElement {
				return "", fmt.Errorf("%w: row %d is longer than %d bytes", ErrFile, r.line, longestRow)
			}
		}
	}
}

// value is what a cell shows.
func (r *sheetRows) value(kind, style, raw string) (string, error) {
	if raw == "" {
		return "", nil
	}
	switch kind {
	case "s":
		return r.book.strings.at(raw)
	case "b":
		if isTrue(raw) {
			return "TRUE", nil
		}
		return "FALSE", nil
	case "", "n":
		return r.book.number(raw, r.book.styles.at(style)), nil
	}
	if kind == "inlineStr" {
		return raw, nil
	}
	return unescape(raw), nil // a text, an error such as #N/A, a day in ISO 8601
}
