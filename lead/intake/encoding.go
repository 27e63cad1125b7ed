package intake

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/transform"
)

// looked is how much of a file is looked at to tell its encoding and its dialect.
const looked = 64 << 10

// utf8Name is the encoding that needs no decoding.
const utf8Name = "utf-8"

// charset is how the bytes of a file are read.
type charset struct {
	name string // as htmlindex has it
	mark int    // bytes of the byte order mark
	note string // a sentence, if it is not all of one encoding

	plain bool // nothing but ASCII was seen
}

// charsetOf tells the encoding from a stretch of the file: by its byte order mark, by zeros that every other
// byte of UTF-16 is, as UTF-8 if all of it is valid, else by the letters that come out.
func charsetOf(start []byte) charset {
	switch {
	case bytes.HasPrefix(start, []byte("\xEF\xBB\xBF")):
		return charset{name: utf8Name, mark: 3}
	case bytes.HasPrefix(start, []byte("\xFF\xFE")):
		return charset{name: "utf-16le", mark: 2}
	case bytes.HasPrefix(start, []byte("\xFE\xFF")):
		return charset{name: "utf-16be", mark: 2}
	}
	return unmarked(start)
}

func unmarked(b []byte) charset {
	if name := wide(b); name != "" {
		return charset{name: name}
	}
	if valid, broken := countUTF8(b); broken*10 <= valid {
		c := charset{name: utf8Name, plain: valid+broken == 0}
		if broken > 0 {
			c.note = "Some bytes are not UTF-8; where they stand, \uFFFD is read."
		}
		return c
	}
	return charset{name: eightBit(b)}
}

// plainStretches are how many stretches of nothing but ASCII are passed over in search of the first letter that tells
// the encoding: a long table may have its first umlaut far from its start.
const plainStretches = 256

// charsetIn tells the encoding of a file that begins so.
func charsetIn(f io.ReaderAt, size int64, start []byte) (charset, error) {
	found := charsetOf(start)
	for at := int64(len(start)); found.plain && at < min(size, plainStretches*looked); {
		b, err := stretch(f, size, at)
		if err != nil || len(b) == 0 {
			return found, err
		}
		if i := slices.IndexFunc(b, func(c byte) bool { return c >= utf8.RuneSelf }); i >= 0 {
			if b, err = stretch(f, size, at+int64(i)); err != nil {
				return found, err
			}
			return unmarked(b), nil
		}
		at += int64(len(b))
	}
	return found, nil
}

// wide recognises UTF-16 without a mark: letters of most scripts of commerce have one zero byte, digits, commas and line
// ends all have.
func wide(b []byte) string {
	var zeros [2]int
	for i, c := range b {
		if c == 0 {
			zeros[i%2]++
		}
	}
	half := len(b) / 2
	switch {
	case zeros[1]*5 > half && zeros[0]*20 <= half:
		return "utf-16le"
	case zeros[0]*5 > half && zeros[1]*20 <= half:
		return "utf-16be"
	}
	return ""
}

// countUTF8 counts the characters beyond ASCII that are well formed, and the bytes that belong to none. One that is cut
// off at the end is neither.
func countUTF8(b []byte) (valid, broken int) {
	for len(b) > 0 {
		if b[0] < utf8.RuneSelf {
			b = b[1:]
			continue
		}
		r, size := utf8.DecodeRune(b)
		switch {
		case r != utf8.RuneError || size > 1:
			valid++
		case utf8.FullRune(b):
			broken++
		}
		b = b[size:]
	}
	return valid, broken
}

// decoder reads the text behind the mark as UTF-8.
func (c charset) decoder(in io.Reader) (io.Reader, error) {
	if c.mark > 0 {
		if _, err := io.CopyN(io.Discard, in, int64(c.mark)); err != nil {
			return nil, err
		}
	}
	if c.name == utf8Name {
		return in, nil
	}
	e, err := encodingNamed(c.name)
	if err != nil {
		return nil, err
	}
	return transform.NewReader(in, e.NewDecoder()), nil
}

func encodingNamed(name string) (encoding.Encoding, error) {
	e, err := htmlindex.Get(name)
	if err != nil || e == encoding.Replacement {
		return nil, fmt.Errorf("%w: its encoding is said to be one that is not known; "+
			"say utf-8, utf-16le, windows-1252 or another name of the WHATWG", ErrFile)
	}
	return e, nil
}

// openText decodes a file and returns what was recognised of its encoding. found says the encoding that is not ordered.
func openText(in *bufio.Reader, ordered string, found charset) (io.Reader, charset, error) {
	if ordered != "" {
		e, err := encodingNamed(ordered)
		if err != nil {
			return nil, found, err
		}
		name, _ := htmlindex.Name(e)
		if name != found.name {
			found = charset{name: name}
		}
	}
	text, err := found.decoder(in)
	return text, found, err
}
