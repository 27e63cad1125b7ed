package intake

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode"
)

func isSpace(r rune) bool { return unicode.IsSpace(r) }

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
