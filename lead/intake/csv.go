package intake

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
)

// openCSV reads as far as the header.
func openCSV(raw *bufio.Reader, found charset, o Options) (*Table, error) {
	text, found, err := openText(raw, o.Encoding, found)
	if err != nil {
		return nil, err
	}
	in := bufio.NewReaderSize(text, looked)
	start, err := in.Peek(looked)
	if err != nil && err != io.EOF {
		return nil, err
	}
	if err := checkText(start); err != nil {
		return nil, err
	}
	d, err := recognise(start, err == io.EOF, o)
	if err != nil {
		return nil, err
	}
	t := &Table{format: d.format(found)}
	if err := t.startCSV(newScanner(in, d), d); err != nil {
		return nil, err
	}
	return t, nil
}

// checkText refuses what holds no text, or none that a person wrote.
func checkText(start []byte) error {
	if len(bytes.TrimSpace(start)) == 0 {
		return fmt.Errorf("%w: it is empty", ErrFile)
	}
	if err := refusePage(start); err != nil {
		return err
	}
	control := 0
	for _, c := range start {
		if c < ' ' && c != '\n' && c != '\r' && c != '\t' && c != 0 || c == 0x7F {
			control++
		}
	}
	if control*20 > len(start) {
		return fmt.Errorf("%w: it is not text; save the table as CSV or as .xlsx", ErrFile)
	}
	return nil
}

// startCSV goes to the first row behind the header.
func (t *Table) startCSV(s *scanner, d dialect) error {
	t.rows = s
	if !s.skipLines(d.skip) {
		if s.failed != io.EOF {
			return s.failed
		}
		return fmt.Errorf("%w: it has no line %d, where its header is said to be", ErrFile, d.skip+1)
	}
	if d.headless {
		return t.name(make([]string, d.width), 0)
	}
	for {
		err := s.advance()
		if err == io.EOF {
			return fmt.Errorf("%w: it has no rows", ErrFile)
		}
		if err != nil {
			return err
		}
		if !s.blank() {
			break
		}
	}
	return t.name(s.cells(), s.start)
}
