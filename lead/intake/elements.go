package intake

import (
	"encoding/xml"
	"fmt"
	"io"
)

// elements reads the XML of a workbook: elements and text one after the other, in the memory of one. What workbooks do
// not have and bombs are made of is refused: document types and their entities, deep nesting, endless names and texts.
type elements struct {
	xml   *xml.Decoder
	guard *elementGuard
	depth int
}

// Limits of XML.
const (
	deepestElement = 64
	longestElement = 1 << 20 // bytes of one element's start, or of one text
)

// element is a start, an end, or, with neither a name, text. It is valid until the next is read.
type element struct {
	name       string // without its namespace
	start      bool
	attributes []xml.Attr
	text       []byte
}

// get returns an attribute, "" if it is missing.
func (e element) get(name string) string {
	for _, a := range e.attributes {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

func newElements(in io.Reader) *elements {
	guard := &elementGuard{in: in}
	return &elements{xml: xml.NewDecoder(guard), guard: guard}
}

// next returns io.EOF at the end. Other errors wrap ErrFile where it is a bomb, or are those of XML and the reader.
func (x *elements) next() (element, error) {
	for {
		x.guard.read = 0
		token, err := x.xml.RawToken()
		if err != nil {
			return element{}, err
		}
		switch t := token.(type) {
		case xml.StartElement:
			if x.depth++; x.depth > deepestElement {
				return element{}, fmt.Errorf("%w: the workbook nests too deeply", ErrFile)
			}
			return element{name: t.Name.Local, start: true, attributes: t.Attr}, nil
		case xml.EndElement:
			x.depth--
			return element{name: t.Name.Local}, nil
		case xml.CharData:
			return element{text: t}, nil
		case xml.Directive:
			return element{}, fmt.Errorf("%w: the workbook defines entities of its own", ErrFile)
		}
	}
}

// elementGuard ends an element that would fill the memory.
type elementGuard struct {
	in   io.Reader
	read int
}

// Read is io.Reader.
func (g *elementGuard) Read(p []byte) (int, error) {
	if g.read > longestElement {
		return 0, fmt.Errorf("%w: a cell of the workbook is longer than %d bytes", ErrFile, longestElement)
	}
	n, err := g.in.Read(p)
	g.read += n
	return n, err
}
