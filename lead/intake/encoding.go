package intake

import (
	"bufio"
	"bytes"
	"io"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	textunicode "golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// looked is how much of a file is looked at to tell its encoding and its delimiter.
const looked = 64 << 10

// asUTF8 decodes a file: by its byte order mark if it has one; as UTF-8 if its beginning is valid; as UTF-16 if every
// other byte of it is zero; else as windows-1252, which holds ISO 8859-1. Line ends become LF, CR alone included,
// except inside of CRLF.
func asUTF8(r io.Reader) *bufio.Reader {
	in := bufio.NewReaderSize(r, looked)
	start, _ := in.Peek(looked)
	if e := detect(start); e != nil {
		return bufio.NewReaderSize(transform.NewReader(in, e.NewDecoder()), looked)
	}
	if bytes.HasPrefix(start, []byte("\xEF\xBB\xBF")) {
		_, _ = in.Discard(3)
	}
	return in
}

// detect returns the encoding to decode from, nil for UTF-8.
func detect(start []byte) encoding.Encoding {
	switch {
	case bytes.HasPrefix(start, []byte("\xFF\xFE")), bytes.HasPrefix(start, []byte("\xFE\xFF")):
		return textunicode.UTF16(textunicode.LittleEndian, textunicode.UseBOM)
	case bytes.HasPrefix(start, []byte("\xEF\xBB\xBF")), validSoFar(start):
		return nil
	case len(start) >= 2 && start[1] == 0:
		return textunicode.UTF16(textunicode.LittleEndian, textunicode.IgnoreBOM)
	case len(start) >= 2 && start[0] == 0:
		return textunicode.UTF16(textunicode.BigEndian, textunicode.IgnoreBOM)
	}
	return charmap.Windows1252
}

// validSoFar takes a character that is cut off at the end for whole. NUL is valid UTF-8 but in no text file.
func validSoFar(b []byte) bool {
	if bytes.IndexByte(b, 0) >= 0 {
		return false
	}
	for len(b) > 0 {
		r, size := utf8.DecodeRune(b)
		if r == utf8.RuneError && size <= 1 {
			return len(b) < utf8.UTFMax && !utf8.FullRune(b)
		}
		b = b[size:]
	}
	return true
}

// lineEnds turns the CRs of old Macs, which stand alone, into LFs; encoding/csv would see one line.
type lineEnds struct{ in *bufio.Reader }

// Read is io.Reader.
func (l lineEnds) Read(p []byte) (int, error) {
	n, err := l.in.Read(p)
	for i := range n {
		if p[i] != '\r' {
			continue
		}
		next := byte(0)
		if i+1 < n {
			next = p[i+1]
		} else if b, peekErr := l.in.Peek(1); peekErr == nil {
			next = b[0]
		}
		if next != '\n' {
			p[i] = '\n'
		}
	}
	return n, err
}
