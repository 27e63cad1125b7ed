package intake

import (
	"cmp"
	"slices"
	"strings"
)

// Mapping says what columns or keys mean where a person or a preset has decided it: the name of one of our fields, or
// Ignored. A column that is not in it means what its name says; so the nil Mapping goes by names alone.
type Mapping map[string]string

// Ignored is a column that fills no field; it is kept in Extra.
const Ignored = "-"

// Field returns the field that a column fills, "" if none.
func (m Mapping) Field(column string) string {
	field, decided := m[column]
	switch {
	case !decided:
		return Canonical(column)
	case field == Ignored:
		return ""
	}
	return field
}

// skips says that a key is an instruction to us and no data, unless it is mapped.
func (m Mapping) skips(key string) bool {
	_, decided := m[key]
	return !decided && strings.HasPrefix(key, "_")
}

// plainestFirst puts the members that a mapping names before those that are known by their name, and those in the
// order of how plainly they say it.
func (m Mapping) plainestFirst(members []Member) []Member {
	plainness := func(key string) int {
		if _, decided := m[key]; decided {
			return -1
		}
		return rank(Canonical(key), key)
	}
	return slices.SortedStableFunc(slices.Values(members), func(a, b Member) int {
		return cmp.Compare(plainness(a.Key), plainness(b.Key))
	})
}
