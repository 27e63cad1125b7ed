package dbctx_test

import (
	"time"

	"github.com/leadmill/leadmill/dbctx"
)

// program is what dbctx and the model are asked to do: scopes that run one after the other, on tables that are empty at
// first.
type program struct {
	seed   uint64
	scopes []*block
}

// block is a call of Run and what its fn does.
type block struct {
	once     string // "" no key
	readOnly bool   // no effect on a nested one
	dead     bool   // its context has ended before
	steps    []step
	end      end

	// Of the outermost.
	level   dbctx.Level
	retries int
	late    time.Duration // 0, or how long behind fn its context ends, while the commit may be under way

	// Of a nested one.
	joins    int  // with the context of the scope so many levels up
	bound    bool // with a context from outside that was bound to that scope
	limited  bool // asks for a limit of its own
	recovers bool // a panic in it is stopped in front of the outer fn
}

// end is how fn ends if no step has ended it before.
type end int

const (
	endsNil end = iota
	endsError
	endsKeep
	endsKeepWrapped // Keep somewhere below another error
	endsPanic
	endsGoexit
)

// step is one thing that fn does.
type step struct {
	do      action
	write   write
	up      int  // through the Tx of the scope so many levels up; doCancel: whose context
	context life // of its own context
	ignored bool // fn goes on after an error; otherwise it returns the error
	rows    int  // doReadSome: how many are read
	hook    hook // doHook
	misuse  misuse
	nested  *block // doRun
}

type action int

const (
	doQueue action = iota
	doExec
	doReturning // a write whose rows are read to the end
	doNative    // a write on the handle of pgx or database/sql
	doReadAll
	doReadOne
	doReadKeys
	doMisread      // into a variable that it does not fit in
	doReadSome     // leaves the rows open
	doReadSomeShut // closes them
	doReadOn       // the rest of the rows that this fn left open
	doBeside       // reads in another scope that is read-only and has nothing to do with this one
	doHook
	doCancel
	doLate      // uses the Tx that ended last
	doElsewhere // uses the Tx on another goroutine
	doRun
)

// life of the context of a statement.
type life int

const (
	asScope life = iota // the scope's own
	short               // ends right behind the statement
	over                // has ended before
)

// hook is what is registered by AfterCommit.
type hook struct {
	number int
	panics bool
	writes bool // in a scope of its own, with the context of the one that has ended
}

// misuse is how a Tx is used that must not be.
type misuse int

const (
	byExec misuse = iota
	byQueue
	byHook
	byRun
)

// write is a statement that changes rows, or means to.
type write struct {
	kind  kind
	id    int64
	text  string
	times int // victim: in how many attempts
}

type kind int

const (
	insert kind = iota
	put
	set
	extend // rows from id on, so that order shows
	remove
	badSQL
	badArg
	victim // of a conflict that the database ends by an error
)

// statement is the SQL of a write and its arguments.
func (w write) statement() (string, []any) {
	switch w.kind {
	case insert:
		return addNote, []any{w.id, w.text}
	case put:
		return addNote + ` ON CONFLICT (id) DO UPDATE SET text = excluded.text`, []any{w.id, w.text}
	case set:
		return `UPDATE notes SET text = $2 WHERE id = $1`, []any{w.id, w.text}
	case extend:
		return `UPDATE notes SET text = text || $2 WHERE id >= $1`, []any{w.id, w.text}
	case remove:
		return `DELETE FROM notes WHERE id = $1`, []any{w.id}
	case badSQL:
		return `INSERT INTO nowhere VALUES (1)`, nil
	case badArg:
		return addNote, []any{func() {}, w.text}
	}
	return `DO $$BEGIN RAISE EXCEPTION 'a conflict' USING ERRCODE = '40001'; END$$`, nil
}

// clone is a deep copy.
func (p program) clone() program {
	scopes := make([]*block, len(p.scopes))
	for i, b := range p.scopes {
		scopes[i] = b.clone()
	}
	return program{p.seed, scopes}
}

func (b *block) clone() *block {
	c := *b
	c.steps = make([]step, len(b.steps))
	for i, s := range b.steps {
		if s.nested != nil {
			s.nested = s.nested.clone()
		}
		c.steps[i] = s
	}
	return &c
}
