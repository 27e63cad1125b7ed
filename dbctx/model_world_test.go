package dbctx_test

import (
	"fmt"

	"github.com/leadmill/leadmill/dbctx"
)

// What Run and its statements may answer, besides "" for no error.
const (
	oops           = "oops"
	alreadyDone    = "done already"
	noRows         = "no rows"
	cancelled      = "cancelled"
	isUnique       = "unique violation"
	isBadSQL       = "no such table"
	isBadArg       = "argument does not fit"
	isMisread      = "variable does not fit"
	isVictim       = "victim of a conflict"
	isReadOnly     = "read-only"
	rowsOpen       = "rows are open"
	txDone         = "Tx is done"
	otherGoroutine = "other goroutine"
	onlyOutermost  = "only outermost"
	contradiction  = "Once and ReadOnly"
	panicked       = "panic"
	exited         = "goexit"
	hasRecovered   = "recovered"
)

// world is the model: what must be seen while a program runs, and behind it. It is written from the documentation of dbctx,
// and simpler: a transaction is a list of changes, from which those of a scope that failed are struck out, and what a query
// sees is that list applied to what is committed. No connection, no savepoint, nothing that is taken back by a database.
//
// Where the documentation is silent, it holds what dbctx does and says so.
type world struct {
	dialect dbctx.Dialect
	stands  state    // what is committed
	said    []string // what fn and its caller saw, in order
	gone    *frame   // the scope that ended last
	attempt int      // of the outermost scope, from 1 on
}

// frame is an open scope.
type frame struct {
	outer *frame // nil for the outermost
	t     *transaction
	ctx   *lifetime
	left  *cursor // rows that its fn left open
	trips int     // before it
}

// lifetime is that of a context.
type lifetime struct {
	outer *lifetime
	over  bool
}

func (l *lifetime) ended() bool {
	for ; l != nil; l = l.outer {
		if l.over {
			return true
		}
	}
	return false
}

// up is the scope so many levels around f, or the outermost.
func (f *frame) up(levels int) *frame {
	for ; levels > 0 && f.outer != nil; levels-- {
		f = f.outer
	}
	return f
}

func (w *world) say(what, why, text string) {
	if why != "" {
		text = why
	}
	w.said = append(w.said, what+": "+text)
}

// foresee is what must become of a program. heard is what Run said of each scope: it is asked only where two answers are
// allowed.
func foresee(p program, dialect dbctx.Dialect, heard []string) *world {
	w := &world{dialect: dialect, stands: state{map[int64]string{}, map[string]bool{}}}
	for i, b := range p.scopes {
		w.run(b, heard[i])
	}
	return w
}

// run is Run of an outermost scope: again and again while the database chooses it as a victim.
func (w *world) run(b *block, heard string) {
	if b.once != "" && b.readOnly {
		w.say("Run", contradiction, "")
		return
	}
	ctx := &lifetime{over: b.dead}
	for w.attempt = 1; ; w.attempt++ {
		why, hurt := w.try(b, ctx, heard)
		if !hurt || w.attempt > b.retries || ctx.over {
			w.say("Run", why, "nil")
			return
		}
	}
}

// try is one attempt.
func (w *world) try(b *block, ctx *lifetime, heard string) (why string, hurt bool) {
	t := &transaction{world: w, readOnly: b.readOnly}
	root := &frame{t: t, ctx: ctx}
	t.root = root
	keep, why := w.scope(root, b)
	switch {
	case why == panicked || why == exited:
		return why, false
	case why != "" && !keep:
		return why, why == isVictim || t.failed == isVictim
	case b.late > 0 && heard == cancelled: // whether it reached the commit in time is nobody's promise; that it is all or nothing is
		return cancelled, false
	}
	if _, failed := t.send(root, nil); failed != "" {
		return failed, failed == isVictim
	}
	w.stands = t.seen()
	for _, h := range t.hooks {
		w.fire(h.hook)
	}
	return why, false
}

func (w *world) fire(h hook) {
	w.say(h.String(), "", "runs")
	if h.writes {
		_, why := w.stands.apply(h.write(), false)
		w.say(h.String(), why, "nil")
	}
}

// write is what a hook writes in a scope of its own.
func (h hook) write() write { return write{kind: put, id: int64(1 + h.number%9), text: "h"} }

// scope runs fn. An error means that its writes may not stand, unless keep. Of several reasons the one that counts is, in
// this order: a Tx that was misused, a key that is done, fn's own error, an error that fn ignored, a context that has ended.
// The order is not promised anywhere, but that the first two are told whatever fn made of them.
func (w *world) scope(f *frame, b *block) (keep bool, why string) {
	t := f.t
	if b.once != "" {
		t.add(f, claim(b.once))
	}
	why = w.steps(f, b)
	w.gone = f
	t.shut(f)
	switch {
	case why == panicked || why == exited:
		return false, why
	case t.offence != "":
		return false, t.offence
	case t.failed == alreadyDone:
		return false, alreadyDone
	}
	if why == keepOops {
		why, keep = oops, t.failed == "" && !f.ctx.ended()
	}
	switch {
	case keep && b.once != "":
		t.add(f, unclaim(b.once))
	case why == "" && t.failed != "":
		why = t.failed
	case why == "" && f.ctx.ended():
		why = cancelled
	}
	return keep, why
}

// keepOops is errOops inside Keep, on its way out of fn.
const keepOops = "keep oops"

// steps is fn. It returns its error, panicked or exited.
func (w *world) steps(f *frame, b *block) string {
	for _, s := range b.steps {
		why := w.step(f, s)
		if why != "" && !s.ignored || why == exited || why == panicked {
			return why
		}
	}
	return [...]string{"", oops, keepOops, keepOops, panicked, exited}[b.end]
}

// nest is Run inside another scope.
func (w *world) nest(f *frame, b *block) string {
	t := f.t
	switch {
	case b.once != "" && b.readOnly:
		return contradiction
	case t.failed != "": // its fn is not even called; not promised
		return t.failed
	case b.limited:
		return t.fail(f, onlyOutermost)
	}
	n := &frame{outer: f, t: t, ctx: &lifetime{outer: f.up(b.joins).ctx, over: b.dead}, trips: t.trips}
	if b.bound {
		n.ctx.outer = nil
	}
	keep, why := w.scope(n, b)
	if b.once != "" && (why == "" || keep) { // whether the key was free is known when Run returns
		if _, failed := t.trip(n, asScope, nil); failed != "" {
			why, keep = failed, false
		}
	}
	if why != "" && !keep {
		t.undo(n)
	} else {
		t.merge(n)
	}
	if t.trips > n.trips {
		t.add(f, change{release: true})
	}
	return why
}

// step is one step of fn; it returns the error that fn sees.
func (w *world) step(f *frame, s step) string {
	t := f.t
	switch s.do {
	case doQueue:
		if w.plays(s.write) {
			t.add(f, change{write: s.write})
		}
	case doExec, doReturning, doNative:
		if !w.plays(s.write) || s.do == doNative && t.readOnly {
			return ""
		}
		n, why := t.trip(f, s.context, &change{write: s.write})
		w.say(s.label(), why, fmt.Sprint(n))
		return why
	case doHook:
		t.hooks = append(t.hooks, registered{s.hook, f})
	case doCancel:
		// A context that ends while rows are open may cut the wire or not, and reads may be through before: not tried.
		if t.open == nil {
			f.up(s.up).ctx.over = true
		}
	case doBeside:
		w.say(s.label(), "", w.stands.notes(-1))
	case doLate, doElsewhere:
		return w.misuse(f, s)
	case doReadOn:
		return w.readOn(f, s)
	case doRun:
		why := w.nest(f, s.nested)
		if why == panicked && s.nested.recovers {
			why = hasRecovered
		}
		if why != exited && why != panicked {
			w.say(s.label(), why, "nil")
		}
		return why
	default:
		return w.read(f, s)
	}
	return ""
}

// plays says whether a write is tried at all: only PostgreSQL can be told to end a conflict, and not for ever.
func (w *world) plays(c write) bool {
	return c.kind != victim || w.dialect == dbctx.Postgres && w.attempt <= c.times
}

// misuse of a Tx fails the whole scope that it is of.
func (w *world) misuse(f *frame, s step) string {
	why, t := otherGoroutine, f.t
	if s.do == doLate {
		if w.gone == nil || s.misuse == byRun && w.gone.t != f.t { // a Run with that context is a scope of its own
			return ""
		}
		why, t = txDone, w.gone.t
	}
	if t.offence == "" {
		t.offence = why
	}
	if s.silent() {
		return ""
	}
	w.say(s.label(), why, "")
	return why
}

// read is a query.
func (w *world) read(f *frame, s step) string {
	t := f.t
	_, why := t.trip(f, s.context, nil)
	text, now := "", state{}
	if why == "" {
		now = t.seen()
	}
	switch {
	case why != "":
	case s.do == doReadKeys:
		text = now.keyList()
	case s.do == doReadOne || s.do == doMisread:
		var found bool
		text, found = now.rows[s.write.id]
		if !found {
			why = noRows
		} else if s.do == doMisread {
			why = t.fail(f, isMisread)
		}
	case s.do == doReadAll:
		text = now.notes(-1)
	default:
		text = now.notes(s.rows)
		if s.do == doReadSome && s.rows <= len(now.rows) {
			f.left = &cursor{owner: f, seen: now, read: s.rows}
			t.open = f.left
		}
	}
	w.say(s.label(), why, text)
	return why
}

// readOn reads what is left of rows that are open; it asks nothing of the database.
func (w *world) readOn(f *frame, s step) string {
	t := f.t
	if f.left == nil || t.open != f.left {
		return ""
	}
	t.open = nil
	w.say(s.label(), t.offence, f.left.rest())
	return t.offence
}
