package dbctx_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// state is what the two tables hold.
type state struct {
	rows map[int64]string
	keys map[string]bool
}

func (s state) clone() state { return state{maps.Clone(s.rows), maps.Clone(s.keys)} }

// notes are the first rows, or all if n is negative.
func (s state) notes(n int) string {
	ids := slices.Sorted(maps.Keys(s.rows))
	if n >= 0 {
		ids = ids[:min(n, len(ids))]
	}
	return s.list(ids)
}

func (s state) list(ids []int64) string {
	var b strings.Builder
	for _, id := range ids {
		fmt.Fprintf(&b, "%d=%s ", id, s.rows[id])
	}
	return b.String()
}

func (s state) keyList() string { return strings.Join(slices.Sorted(maps.Keys(s.keys)), " ") }

// cursor is a query whose rows have been read in part.
type cursor struct {
	owner *frame
	seen  state
	read  int
}

func (c *cursor) rest() string {
	return c.seen.list(slices.Sorted(maps.Keys(c.seen.rows))[c.read:])
}

// change is a write, or a key that is written or taken back.
type change struct {
	write
	claim, unclaim string
	release        bool // of a savepoint: changes nothing, but travels
}

func claim(key string) change   { return change{claim: key} }
func unclaim(key string) change { return change{unclaim: key} }

// apply does a write and returns how many rows it changed, or why it failed.
func (s state) apply(w write, readOnly bool) (n int, why string) {
	_, there := s.rows[w.id]
	switch {
	case w.kind == badSQL:
		return 0, isBadSQL
	case w.kind == badArg:
		return 0, isBadArg
	case w.kind == victim:
		return 0, isVictim
	case readOnly:
		return 0, isReadOnly
	case w.kind == insert && there:
		return 0, isUnique
	case w.kind == insert || w.kind == put:
		s.rows[w.id] = w.text
		return 1, ""
	case w.kind == extend:
		return s.extend(w), ""
	case !there:
		return 0, ""
	case w.kind == remove:
		delete(s.rows, w.id)
	case w.kind == set:
		s.rows[w.id] = w.text
	}
	return 1, ""
}

func (s state) extend(w write) (n int) {
	for id := range s.rows {
		if id >= w.id {
			s.rows[id] += w.text
			n++
		}
	}
	return n
}

// do applies a change.
func (s state) do(c change, readOnly bool) (n int, why string) {
	switch {
	case c.release:
		return 0, ""
	case c.claim == "" && c.unclaim == "":
		return s.apply(c.write, readOnly)
	case readOnly:
		return 0, isReadOnly
	case c.claim != "" && s.keys[c.claim]:
		return 0, alreadyDone
	case c.claim != "":
		s.keys[c.claim] = true
	default:
		delete(s.keys, c.unclaim)
	}
	return 1, ""
}
