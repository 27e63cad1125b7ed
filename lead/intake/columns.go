package intake

// Column is a column of a table and what it is taken for.
type Column struct {
	Name       string  `json:"name"`
	Field      string  `json:"field"`      // one of ours; "" if it is taken for none
	How        string  `json:"how"`        // "hand", "name", "export:hubspot", "fuzzy", "content" or "" if it is taken for none
	Confidence float64 `json:"confidence"` // 0 to 1
	Samples    int     `json:"samples"`    // cells looked at that hold something
}

// Columns says what each column of a table is taken for, in the order of the header; sample are some of its rows. What
// the mapping says counts first.
func Columns(header []string, sample [][]string, m Mapping) []Column {
	columns := make([]Column, len(header))
	for i, name := range header {
		columns[i] = Column{Name: name}
		if field, decided := m[name]; decided {
			columns[i].How, columns[i].Confidence = "hand", 1
			if field != Ignored {
				columns[i].Field = field
			}
		} else if field := Canonical(name); field != "" {
			columns[i].Field, columns[i].How, columns[i].Confidence = field, "name", 1
		}
	}
	return columns
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
