package intake

import (
	"slices"
	"strings"
)

// Column is a column of a table and what it is taken for.
type Column struct {
	Name       string  `json:"name"`
	Field      string  `json:"field"`      // one of ours; "" if it is taken for none
	How        string  `json:"how"`        // "hand", "export:hubspot", "name", "fuzzy", "content"; "" if nothing says it
	Confidence float64 `json:"confidence"` // that it is so: 0 to 1
	Samples    int     `json:"samples"`    // cells looked at that hold something
}

// Columns says what each column of a table is taken for, in the order of the header; sample are some of its rows. In
// turn count what the mapping says, the export of a program we know, the column's name, a name that is nearly
// one of ours, and what the cells hold. Several columns mean the same field only by the mapping, an export or
// their names, which rank them (see Parse); what is less sure fills a field that no other column does.
func Columns(header []string, sample [][]string, m Mapping) []Column {
	c := &columns{header: header, all: make([]Column, len(header)), sample: sample}
	known := exportOf(header)
	for i, name := range header {
		c.all[i] = c.plain(name, m, known)
		c.all[i].Samples = len(c.cells(i))
	}
	c.fillIn("fuzzy", c.nearName)
	c.fillIn("content", c.byContent)
	return c.all
}

// MappingOf is what has to be remembered so that Parse takes the columns so: only what their names alone do not say.
func MappingOf(columns []Column) Mapping {
	m := Mapping{}
	for _, c := range columns {
		switch {
		case c.Field == Canonical(c.Name):
		case c.Field == "":
			m[c.Name] = Ignored
		default:
			m[c.Name] = c.Field
		}
	}
	return m
}

type columns struct {
	header []string
	all    []Column
	sample [][]string
}

// plain is a column that is known for certain, or unknown.
func (c *columns) plain(name string, m Mapping, known *export) Column {
	field, how := Canonical(name), "name"
	if decided, ok := m[name]; ok {
		field, how = decided, "hand"
	} else if known != nil {
		if meant, ok := known.means[fold(name)]; ok {
			field = meant
		}
		how = "export:" + known.system
	}
	switch field {
	case "":
		return Column{Name: name}
	case Ignored:
		return Column{Name: name, How: how, Confidence: 1}
	}
	return Column{Name: name, Field: field, How: how, Confidence: 1}
}

// cells are those of a column that hold something.
func (c *columns) cells(i int) (filled []string) {
	for _, row := range c.sample {
		if i < len(row) && strings.TrimSpace(row[i]) != "" {
			filled = append(filled, row[i])
		}
	}
	return filled
}

// guess is what an unknown column may be.
type guess struct {
	at         int
	field      string
	confidence float64
}

// fillIn gives each field that no column fills to the unknown column that a guess is surest of, the first of equals.
func (c *columns) fillIn(how string, of func(i int) guess) {
	best := map[string]guess{}
	for i, column := range c.all {
		g := of(i)
		if column.How == "" && g.field != "" && !c.fills(g.field) && g.confidence > best[g.field].confidence {
			best[g.field] = g
		}
	}
	for _, g := range best {
		column := &c.all[g.at]
		column.Field, column.How, column.Confidence = g.field, how, g.confidence
	}
}

func (c *columns) fills(field string) bool {
	return slices.ContainsFunc(c.all, func(other Column) bool { return other.Field == field })
}
