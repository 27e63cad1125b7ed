package dbctx_test

import (
	"slices"

	"github.com/leadmill/leadmill/dbctx"
)

// transaction is an outermost scope and all that are nested in it.
type transaction struct {
	world    *world
	readOnly bool
	root     *frame
	log      []entry
	hooks    []registered
	open     *cursor
	offence  string // a Tx was misused
	failed   string // nothing can be asked any more
	failedIn *frame // until this scope is taken back
	trips    int
}

// entry is a change in the log. It is sent with the next trip; until then nobody knows whether it can be done.
type entry struct {
	change
	owner *frame
	sent  bool
}

type registered struct {
	hook
	owner *frame
}

func (t *transaction) add(f *frame, c change) { t.log = append(t.log, entry{change: c, owner: f}) }

// fail remembers the first failure; the scope that it belongs to cannot commit.
func (t *transaction) fail(f *frame, why string) string {
	if t.failed == "" {
		t.failed, t.failedIn = why, f
	}
	return why
}

// seen is what a query in this transaction sees.
func (t *transaction) seen() state {
	s := t.world.stands.clone()
	for _, e := range t.log {
		if e.sent {
			if _, why := s.do(e.change, false); why != "" {
				panic("the model contradicts itself: " + why)
			}
		}
	}
	return s
}

// trip sends what waits and then last, for a statement of f.
func (t *transaction) trip(f *frame, context life, last *change) (n int, why string) {
	switch {
	case t.offence != "":
		return 0, t.offence
	case t.failed != "":
		return 0, t.failed
	case t.open != nil:
		return 0, t.fail(f, rowsOpen)
	case context == over || f.ctx.ended(): // nothing leaves, so what waits is not lost
		return 0, t.fail(f, cancelled)
	}
	return t.send(f, last)
}

// send does what waits, then last. What belongs to one scope travels together, that of an outer scope ahead of that of a
// nested one.
func (t *transaction) send(f *frame, last *change) (n int, why string) {
	if last != nil {
		t.add(f, *last)
	}
	now := t.seen()
	for rest := t.waiting(); len(rest) > 0 && why == ""; rest = t.waiting() {
		n, why = t.travel(now, rest[:together(rest)])
	}
	t.trips++
	return n, why
}

// waiting are the entries that have not been sent; they are the last ones.
func (t *transaction) waiting() []entry {
	i := len(t.log)
	for i > 0 && !t.log[i-1].sent {
		i--
	}
	return t.log[i:]
}

// together counts the entries at the beginning that are of one scope.
func together(list []entry) (n int) {
	for n < len(list) && list[n].owner == list[0].owner {
		n++
	}
	return n
}

// travel does the entries of one scope. A failure belongs to that scope, but for two that PostgreSQL's connection does not
// survive, so that no savepoint saves the outer scope: a server that refuses to write in a read-only scope may be
// the wrong one after a failover, and dbctx closes the connection to it; and pgx closes one on which it has begun to write
// a batch whose next argument does not fit.
func (t *transaction) travel(now state, trip []entry) (n int, why string) {
	f := trip[0].owner
	if why, lost := t.unprepared(trip); why != "" {
		if lost {
			f = t.root
		}
		return 0, t.fail(f, why)
	}
	for i := range trip {
		if n, why = now.do(trip[i].change, t.readOnly); why != "" {
			if why == isReadOnly && t.world.dialect == dbctx.Postgres {
				f = t.root
			}
			return 0, t.fail(f, why)
		}
		trip[i].sent = true
	}
	t.trips++
	return n, ""
}

// unprepared is why a trip cannot leave: PostgreSQL prepares it as a whole, so what it cannot prepare fails before what it
// cannot do.
func (t *transaction) unprepared(trip []entry) (why string, lost bool) {
	if t.world.dialect == dbctx.SQLite {
		return "", false
	}
	has := func(k kind) int { return slices.IndexFunc(trip, func(e entry) bool { return e.write.kind == k }) }
	if has(badSQL) >= 0 {
		return isBadSQL, false
	}
	at := has(badArg)
	if at < 0 {
		return "", false
	}
	behindBegin := t.trips == 0 && trip[0].owner == t.root // a nested scope sends BEGIN and its savepoint ahead
	return isBadArg, at > 0 || behindBegin
}

// shut closes the rows that a scope left open.
func (t *transaction) shut(f *frame) {
	if t.open != nil && t.open.owner == f {
		t.open = nil
	}
}

// undo strikes out everything of a scope.
func (t *transaction) undo(f *frame) {
	t.log = slices.DeleteFunc(t.log, func(e entry) bool { return e.owner == f })
	t.hooks = slices.DeleteFunc(t.hooks, func(h registered) bool { return h.owner == f })
	if t.failedIn == f {
		t.failed, t.failedIn = "", nil
	}
}

// merge makes everything of a nested scope its outer one's.
func (t *transaction) merge(f *frame) {
	for i := range t.log {
		if t.log[i].owner == f {
			t.log[i].owner = f.outer
		}
	}
	for i := range t.hooks {
		if t.hooks[i].owner == f {
			t.hooks[i].owner = f.outer
		}
	}
}
