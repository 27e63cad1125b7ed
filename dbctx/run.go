package dbctx

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"time"
)

// endLimit is how long a rollback may take, how long COMMIT may, and how long the server may take to give up writes whose
// context has ended.
const endLimit = 5 * time.Second

// Run calls fn inside one transaction on db.
//
// nil commits. An error, a panic, runtime.Goexit or a context that has ended by then rolls back; a panic goes on
// upwards with its stack. In every case the connection goes back to the pool.
//
// No connection is taken before the first statement, and BEGIN travels with it: a scope that needs no database
// costs none. Called with the context of an open scope on the same db, Run is a savepoint of that scope: its error
// takes back its own changes and leaves the outer scope usable. The context of a nested scope that has ended gives
// ErrTxDone while the outer one is open.
//
// Besides fn's own error, Run returns ErrAlreadyDone (see Once), an error of the commit, the guard that was offended, or the
// error of a statement that fn chose to ignore: a scope in which a statement failed cannot commit. Run such a statement in a
// nested scope if it may fail.
func Run(ctx context.Context, db *DB, fn func(ctx context.Context, tx *Tx) error, opts ...Option) error {
	o, err := collect(opts)
	if err != nil {
		return err
	}
	if outer := openScope(ctx, db); outer != nil {
		return outer.nest(ctx, fn, o)
	}
	for again := 0; ; again++ {
		err, victim := db.run(ctx, fn, o)
		if !victim || again == o.retries || !rest(ctx, again) {
			return err
		}
	}
}

// rest waits before a scope is run again; false if ctx ends first.
func rest(ctx context.Context, again int) bool {
	longest := min(10*time.Millisecond<<min(again, 10), time.Second)
	select {
	case <-ctx.Done():
		return false
	case <-time.After(longest/2 + rand.N(longest/2)):
		return true
	}
}

// run is one attempt. victim says that the database ended it in favour of others.
func (db *DB) run(ctx context.Context, fn func(context.Context, *Tx) error, o options) (err error, victim bool) {
	s := &session{db: db, options: o, owner: goroutine()}
	s.caller = callerOf(3)
	s.pending = s.room[:0]
	ctx = db.spans.begin(ctx, s)
	db.scopes.add(s)
	finished := false
	defer func() { // no recover: the stack of a panic stays whole
		if !finished {
			s.ended.Store(true)
			s.rollback(ctx)
		}
		db.scopes.remove(s)
		db.spans.end(s, err, finished)
	}()
	keep, err := s.scope(ctx, &s.outermost, fn, o)
	s.ended.Store(true)
	if err != nil && !keep {
		finished = true
		s.rollback(ctx)
		return err, isVictim(err) || isVictim(s.failed)
	}
	failed := s.commit(ctx) // may panic: arguments have code of their own
	finished = true
	if failed != nil {
		return failed, isVictim(failed)
	}
	for _, hook := range s.hooks {
		s.runHook(hook)
	}
	return err, false
}

// scope runs fn on a Tx that ends with it. An error means that its work may not stand, unless keep.
func (s *session) scope(ctx context.Context, tx *Tx, fn func(context.Context, *Tx) error, o options) (keep bool, err error) {
	tx.s, tx.ctx.tx = s, tx
	tx.outer, s.innermost = s.innermost, tx
	tx.ctx.Context = ctx
	defer tx.end()
	if o.once != "" {
		s.pending = append(s.pending, onceStatement(o.once))
		s.fence = o.once
	}
	err = fn(&tx.ctx, tx)
	tx.end()
	switch offence := s.offence.Load(); {
	case offence != nil:
		return false, *offence
	case errors.Is(s.failed, ErrAlreadyDone): // whatever fn made of it, the caller must know
		return false, s.failed
	case err == nil && s.failed != nil:
		return false, s.failed
	}
	keep, err = keeps(err)
	if keep && s.failed == nil && ctx.Err() == nil {
		s.openFence(o.once)
		return true, err
	}
	if err == nil {
		err = whyEnded(ctx)
	}
	return false, err
}

// whyEnded is nil, or the context's error and the cause that somebody gave for it.
func whyEnded(ctx context.Context) error {
	err := ctx.Err()
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); !errors.Is(cause, err) {
		return fmt.Errorf("%w: %w", err, cause)
	}
	return err
}

// nest runs fn in a savepoint.
func (tx *Tx) nest(ctx context.Context, fn func(context.Context, *Tx) error, o options) error {
	s := tx.s
	switch err := tx.guard(); {
	case err != nil:
		return err
	case s.failed != nil:
		return s.failed
	case o.level > s.options.level && s.db.target.dialect == Postgres, o.timeout > 0:
		return s.refuse(ErrOutermost)
	}
	s.depth++
	defer func() { s.depth-- }()
	name := "scope_" + strconv.Itoa(s.depth)
	before := s.mark()
	s.pending = append(s.pending, statement{sql: "SAVEPOINT " + name, savepoint: true})
	finished := false
	defer func() {
		if !finished {
			s.undo(ctx, before, name)
		}
	}()
	keep, err := s.scope(ctx, new(Tx), fn, o)
	if o.once != "" && (err == nil || keep) { // whether the key was free must be known before the caller goes on
		if failed := s.flush(ctx); failed != nil {
			keep, err = false, failed
		}
	}
	finished = true
	if err != nil && !keep {
		s.undo(ctx, before, name)
		return err
	}
	s.keep(before, name)
	return err
}

// runHook keeps a panic of a hook from hurting the caller, whose work is committed.
func (s *session) runHook(hook func()) {
	defer func() {
		if p := recover(); p != nil {
			s.db.log.Error("a hook after the commit panicked", slog.Any("panic", p))
		}
	}()
	hook()
}
