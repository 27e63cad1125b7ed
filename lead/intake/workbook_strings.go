package intake

import (
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
)

// Limits of the texts that the cells of a workbook share; they are held in memory.
const (
	mostSharedBytes = 64 << 20
	mostShared      = 2 << 20
	sharedChunk     = 256 << 10
)

// sharedStrings are the texts of a workbook by number.
type sharedStrings struct {
	all   []string // slices of chunks
	chunk strings.Builder
	bytes int
}

func (s *sharedStrings) add(text string) error {
	if s.bytes += len(text); s.bytes > mostSharedBytes || len(s.all) >= mostShared {
		return fmt.Errorf("%w: the workbook holds more text than can be read at once; save the table as CSV", ErrFile)
	}
	if s.chunk.Len()+len(text) > s.chunk.Cap() {
		s.chunk = strings.Builder{}
		s.chunk.Grow(max(sharedChunk, len(text)))
	}
	from := s.chunk.Len()
	s.chunk.WriteString(text)
	s.all = append(s.all, s.chunk.String()[from:])
	return nil
}

// at returns the text of a number as it stands in a cell.
func (s *sharedStrings) at(number string) (string, error) {
	i, err := strconv.Atoi(number)
	if err != nil || i < 0 || i >= len(s.all) {
		return "", fmt.Errorf("%w: %s", ErrFile, errDamagedFormat)
	}
	return s.all[i], nil
}

// readStrings reads the shared texts; a workbook without any has no such part.
func (w *workbook) readStrings(name string) (*sharedStrings, error) {
	s := &sharedStrings{}
	if name == "" || w.parts[partName(name)] == nil {
		return s, nil
	}
	part, err := w.open(name)
	if err != nil {
		return nil, err
	}
	defer part.Close()
	x := newElements(part)
	for {
		e, err := x.next()
		if err == io.EOF {
			return s, nil
		}
		if err != nil {
			return nil, err
		}
		if e.start && e.name == "si" {
			text, err := x.richText("si")
			if err != nil {
				return nil, err
			}
			if err := s.add(text); err != nil {
				return nil, err
			}
		}
	}
}

// richText reads the text up to the end of an element: that of all its runs, without how it is pronounced.
func (x *elements) richText(end string) (string, error) {
	var b strings.Builder
	inText, spoken := false, false
	for {
		e, err := x.next()
		switch {
		case err == io.EOF:
			return "", io.ErrUnexpectedEOF
		case err != nil:
			return "", err
		case e.name == "t":
			inText = e.start
		case e.name == "rPh":
			spoken = e.start
		case e.name == end && !e.start:
			return unescape(b.String()), nil
		case e.name == "" && inText && !spoken:
			if b.Len()+len(e.text) > longestElement {
				return "", fmt.Errorf("%w: a cell of the workbook is longer than %d bytes", ErrFile, longestElement)
			}
			b.Write(e.text)
		}
	}
}

var escapePattern = regexp.MustCompile(`_x[0-9A-Fa-f]{4}_`)

// unescape reads the characters that Excel writes as _x000D_; line ends become LF.
func unescape(s string) string {
	if strings.Contains(s, "_x") {
		s = escapePattern.ReplaceAllStringFunc(s, func(e string) string {
			n, _ := strconv.ParseUint(e[2:6], 16, 16)
			return string(rune(n)) // half a surrogate pair becomes U+FFFD
		})
	}
	return clean(lineFeeds.Replace(s))
}

var lineFeeds = strings.NewReplacer("\r\n", "\n", "\r", "\n")
