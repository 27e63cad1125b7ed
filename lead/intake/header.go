package intake

import (
	"fmt"
	"strings"
)

// name takes the cells of the header, which stands in a physical line; 0: there is none. Empty ones at its end are no
// columns.
func (t *Table) name(cells []string, line int) error {
	for line > 0 && len(cells) > 0 && strings.TrimSpace(cells[len(cells)-1]) == "" {
		cells = cells[:len(cells)-1]
	}
	if len(cells) > mostColumns {
		return fmt.Errorf("%w: it has more than %d columns", ErrFile, mostColumns)
	}
	t.header = unique(cells)
	t.format.HeaderLine, t.format.Preamble = line, max(0, line-1)
	if line == 0 {
		t.note("No row names the columns: they are called column_1 and so on.")
		return nil
	}
	for i, c := range cells {
		switch name := columnName(c); {
		case name == "":
			t.note("Column %d has no name: it is called %s.", i+1, t.header[i])
		case name != t.header[i]:
			t.note("Several columns are called %s: the one at place %d is %s.", name, i+1, t.header[i])
		}
	}
	return nil
}

// mostNotes are as many as people read.
const mostNotes = 20

func (t *Table) note(format string, args ...any) {
	if len(t.format.Notes) < mostNotes {
		t.format.Notes = append(t.format.Notes, fmt.Sprintf(format, args...))
	}
}

// unique names the columns that have no name, and numbers those whose name is taken.
func unique(cells []string) []string {
	header, taken := make([]string, len(cells)), map[string]bool{}
	for i, c := range cells {
		base := columnName(c)
		if base == "" {
			base = column(i)
		}
		name := base
		for n := 2; taken[name]; n++ {
			name = fmt.Sprintf("%s %d", base, n)
		}
		taken[name], header[i] = true, name
	}
	return header
}

// columnName is a cell of the header without what stands around it; files that were put together have byte order marks
// in their middle.
func columnName(cell string) string { return strings.TrimSpace(strings.Trim(cell, "\uFEFF")) }

func column(i int) string { return fmt.Sprintf("column_%d", i+1) }

// namesFields counts how plainly a row looks like a header: 2 for an address or a number, 1 for another name of
// ours. From 2 on it is one; one other word alone may be the title of a preamble. A row of data is none.
func namesFields(cells []string) (known int) {
	for _, c := range cells {
		switch Canonical(c) {
		case "":
		case "email", "phone":
			known += 2
		default:
			known++
		}
	}
	return known
}
