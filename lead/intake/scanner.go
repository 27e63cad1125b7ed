package intake

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// scanner cuts text into records and cells, more forgiving than encoding/csv: any line ends, also mixed; quotes in the
// middle of a cell; text behind a closing quote. It holds one record in memory.
type scanner struct {
	in        io.Reader // UTF-8, where it is text at all
	delimiter byte
	quote     byte // 0: none

	buf     []byte // buf[at:end] is read and not consumed; offsets below count from at
	at, end int
	failed  error // of in; io.EOF at its end
	line    int   // physical line that the next record begins at
	closing int   // a quote that is known to close a cell
	closed  int   // up to here none is known to

	text    []byte // of the record's cells, one behind the other
	ends    []int  // where each ends
	start   int    // physical line of the record
	problem error
}

func newScanner(in io.Reader, d dialect) *scanner {
	return &scanner{in: in, delimiter: d.delimiter, quote: d.quote, line: 1, buf: make([]byte, 64<<10)}
}

// advance reads the next record.
func (s *scanner) advance() error {
	s.text, s.ends = s.text[:0], s.ends[:0]
	s.start, s.closing, s.closed = s.line, 0, 0
	if _, ok := s.peek(0); !ok {
		return s.failed
	}
	at, more := 0, true
	for more && s.problem == nil {
		at, more = s.cell(at)
	}
	if s.failed != nil && s.failed != io.EOF {
		return s.failed // the end of the record may be missing
	}
	s.at += at
	return s.problem
}

// peek returns the byte at i, false behind the end of the file.
func (s *scanner) peek(i int) (byte, bool) {
	if s.at+i < s.end {
		return s.buf[s.at+i], true
	}
	return s.peekFurther(i)
}

func (s *scanner) peekFurther(i int) (byte, bool) {
	for s.at+i >= s.end {
		if s.failed != nil {
			return 0, false
		}
		s.fill()
	}
	return s.buf[s.at+i], true
}

// fill reads more, at least one byte if there is no error.
func (s *scanner) fill() {
	if s.end-s.at > longestRow {
		s.failed = fmt.Errorf("%w: line %d begins a row longer than %d bytes, or a quotation mark in it is never closed",
			ErrFile, s.start, longestRow)
		return
	}
	if s.at > 0 {
		s.end = copy(s.buf, s.buf[s.at:s.end])
		s.at = 0
	}
	if s.end == len(s.buf) {
		s.buf = append(s.buf, make([]byte, len(s.buf))...)
	}
	n, err := 0, error(nil)
	for tries := 0; n == 0 && err == nil; tries++ {
		if n, err = s.in.Read(s.buf[s.end:]); tries > 100 {
			err = io.ErrNoProgress
		}
	}
	s.end += n
	s.failed = err
}

// cell reads the cell at i and returns where the next begins, if more follow in the record.
func (s *scanner) cell(i int) (next int, more bool) {
	if s.quote != 0 {
		if text := s.blanks(i); s.is(text, s.quote) {
			i = s.quoted(text + 1)
		}
	}
	return s.bare(i)
}

func (s *scanner) is(i int, c byte) bool {
	got, ok := s.peek(i)
	return ok && got == c
}

// blanks returns the first place from i on that is no blank.
func (s *scanner) blanks(i int) int {
	for s.is(i, ' ') {
		i++
	}
	return i
}

// bare takes the text from i to the delimiter or the end of the line, which ends the cell.
func (s *scanner) bare(i int) (next int, more bool) {
	end := s.cellEnd(i)
	s.text = append(s.text, s.buf[s.at+i:s.at+end]...)
	s.ends = append(s.ends, len(s.text))
	switch c, ok := s.peek(end); {
	case !ok:
		return end, false
	case c == s.delimiter:
		return end + 1, true
	}
	return s.lineEnd(end), false
}

// cellEnd is where a cell without quotes ends that goes on at i.
func (s *scanner) cellEnd(i int) int {
	for {
		for n, c := range s.buf[s.at+i : s.end] {
			if c == s.delimiter || c == '\n' || c == '\r' {
				return i + n
			}
		}
		i = s.end - s.at
		if _, ok := s.peek(i); !ok {
			return i
		}
	}
}

// lineEnd returns where the line behind the line end at i begins. CR CR LF is one that went through two programs.
func (s *scanner) lineEnd(i int) int {
	s.line++
	switch {
	case s.is(i, '\n'):
		return i + 1
	case s.is(i+1, '\n'):
		return i + 2
	case s.is(i+1, '\r') && s.is(i+2, '\n'):
		return i + 3
	}
	return i + 1
}

// quoted takes the text from i, behind an opening quote, and returns the place behind the closing one. Line ends in it
// become LF.
func (s *scanner) quoted(i int) int {
	from := i
	take := func() { s.text = append(s.text, s.buf[s.at+from:s.at+i]...) }
	for {
		i = s.quotedEnd(i)
		c, ok := s.peek(i)
		switch {
		case !ok:
			s.problem = fmt.Errorf("%w: line %d opens a quotation mark that is never closed", ErrFile, s.start)
			return i
		case c != s.quote:
			take()
			s.text = append(s.text, '\n')
			i = s.lineEnd(i)
			from = i
		case s.is(i+1, s.quote):
			i++
			take() // one of the two
			i++
			from = i
		case s.closes(i):
			take()
			return s.behind(i + 1)
		default: // one that was not doubled
			i++
		}
	}
}

// quotedEnd is where the next quote or line end stands, from i on.
func (s *scanner) quotedEnd(i int) int {
	for {
		for n, c := range s.buf[s.at+i : s.end] {
			if c == s.quote || c == '\n' || c == '\r' {
				return i + n
			}
		}
		i = s.end - s.at
		if _, ok := s.peek(i); !ok {
			return i
		}
	}
}

// behind passes blanks between a closing quote and what ends the cell.
func (s *scanner) behind(i int) int {
	if next := s.blanks(i); s.endsCell(next) {
		return next
	}
	return i
}

// endsCell says that a cell ends at i.
func (s *scanner) endsCell(i int) bool {
	c, ok := s.peek(i)
	return !ok || c == s.delimiter || c == '\n' || c == '\r'
}

// closes says that the quote at i closes its cell: it stands at the end of the cell, or no other on its line does.
func (s *scanner) closes(i int) bool {
	if s.closing > i {
		return false
	}
	if i < s.closed || s.endsCell(s.blanks(i+1)) {
		return true
	}
	for next := i + 1; ; next++ {
		c, ok := s.peek(next)
		switch {
		case !ok || c == '\n' || c == '\r':
			s.closed = next
			return true
		case c == s.quote && s.endsCell(s.blanks(next+1)):
			s.closing = next
			return false
		}
	}
}

func (s *scanner) blank() bool {
	return len(bytes.TrimFunc(s.text, func(r rune) bool { return r == 0 || unicode.IsSpace(r) })) == 0
}

// cells are valid UTF-8 without NUL: what is neither became U+FFFD, or is left out. Apostrophes that Safe put in are taken
// off.
func (s *scanner) cells() []string {
	all, cells, from := string(s.text), make([]string, len(s.ends)), 0
	damaged := !utf8.ValidString(all) || strings.IndexByte(all, 0) >= 0
	for i, end := range s.ends {
		cells[i] = all[from:end]
		if damaged {
			cells[i] = clean(strings.ToValidUTF8(cells[i], "\uFFFD"))
		}
		cells[i] = bare(cells[i])
		from = end
	}
	return cells
}

func (s *scanner) physical() int { return s.start }

// Close has nothing to give back.
func (s *scanner) Close() error { return nil }

// skipLines passes over n physical lines, whatever is in them; false if there are fewer.
func (s *scanner) skipLines(n int) bool {
	for range n {
		i := 0
		for {
			c, ok := s.peek(i)
			if !ok {
				return false
			}
			if c == '\n' || c == '\r' {
				break
			}
			i++
		}
		s.at += s.lineEnd(i)
		s.start = s.line
	}
	return true
}
