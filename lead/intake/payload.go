package intake

import (
	"strings"
	"unicode/utf8"
)

// RowPayload writes a row as a JSON object in the order of the header. Cells beyond the header get names of their
// own; empty ones are left out.
func RowPayload(header, cells []string) []byte {
	size := 2
	for i, cell := range cells {
		size += len(cell) + len(cell)/16 + 8
		if i < len(header) {
			size += len(header[i])
		}
	}
	b := append(make([]byte, 0, size), '{')
	for i, cell := range cells {
		if strings.TrimSpace(cell) == "" {
			continue
		}
		if len(b) > 1 {
			b = append(b, ',')
		}
		if i < len(header) {
			b = appendQuoted(b, header[i])
		} else {
			b = appendQuoted(b, column(i))
		}
		b = appendQuoted(append(b, ':'), cell)
	}
	return append(b, '}')
}

// appendQuoted writes a string as encoding/json does without escapes for HTML; it is on the path of every row.
func appendQuoted(b []byte, s string) []byte {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	b = append(b, '"')
	from := 0
	for i := 0; i < len(s); i++ {
		escape := escapeOf(s, i)
		if escape == "" {
			continue
		}
		b = append(append(b, s[from:i]...), escape...)
		from = i + 1
		if s[i] == lineSeparator[0] {
			from = i + len(lineSeparator)
		}
	}
	return append(append(b, s[from:]...), '"')
}

// lineSeparator and paragraphSeparator are escaped because JavaScript takes them for line ends.
const (
	lineSeparator      = "\u2028"
	paragraphSeparator = "\u2029"
)

// escapeOf is what is written in place of the character at i, "" for itself.
func escapeOf(s string, i int) string {
	switch c := s[i]; {
	case c < ' ':
		return controls[c]
	case c == '"':
		return `\"`
	case c == '\\':
		return `\\`
	case c != lineSeparator[0]:
		return ""
	case strings.HasPrefix(s[i:], lineSeparator):
		return `\u2028`
	case strings.HasPrefix(s[i:], paragraphSeparator):
		return `\u2029`
	}
	return ""
}

// controls are the escapes of the characters below the blank.
var controls = [' ']string{
	`\u0000`, `\u0001`, `\u0002`, `\u0003`, `\u0004`, `\u0005`, `\u0006`, `\u0007`,
	`\b`, `\t`, `\n`, `\u000b`, `\f`, `\r`, `\u000e`, `\u000f`,
	`\u0010`, `\u0011`, `\u0012`, `\u0013`, `\u0014`, `\u0015`, `\u0016`, `\u0017`,
	`\u0018`, `\u0019`, `\u001a`, `\u001b`, `\u001c`, `\u001d`, `\u001e`, `\u001f`,
}
