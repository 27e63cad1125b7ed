package dbctx

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Option changes how one scope is run.
type Option func(*options)

type options struct {
	once     string // "" none
	readOnly bool
}

// Once makes the scope a thing that happens one time: the key is written to table done_keys right behind
// BEGIN, and a second scope with the same key ends with ErrAlreadyDone and changes nothing. Of two at once, the
// second waits for the first. The key is written only if the scope commits.
//
// On a nested Run the key belongs to its savepoint.
func Once(key string) Option { return func(o *options) { o.once = key } }

// ReadOnly promises not to write; a write is refused. On SQLite the scope does not wait for writers, nor they for it. On
// a nested Run it has no effect, and it cannot be combined with Once.
func ReadOnly() Option { return func(o *options) { o.readOnly = true } }

type scopeKey struct{ db *DB }

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
// Besides fn's own error, Run returns ErrAlreadyDone (see Once), an error of the commit, or the error of a
// statement that fn chose to ignore: a scope in which a statement failed cannot commit. Run such a statement in a
// nested scope if it may fail.
func Run(ctx context.Context, db *DB, fn func(ctx context.Context, tx *Tx) error, opts ...Option) error {
	var o options
	for _, set := range opts {
		set(&o)
	}
	if o.once != "" && o.readOnly {
		return errors.New("a read-only scope cannot keep the key of Once; drop one of the two")
	}
	if outer, ok := ctx.Value(scopeKey{db}).(*Tx); ok && !outer.s.ended {
		if outer.ended {
			return ErrTxDone
		}
		return outer.nest(ctx, fn, o)
	}
	s := &session{db: db, readOnly: o.readOnly}
	finished := false
	defer func() { // no recover: the stack of a panic stays whole
		if !finished {
			s.ended = true
			s.rollback(ctx)
		}
	}()
	err := s.scope(ctx, fn, o)
	finished, s.ended = true, true
	if err != nil {
		s.rollback(ctx)
		return err
	}
	if err := s.commit(ctx); err != nil {
		return err
	}
	for _, hook := range s.hooks {
		s.runHook(hook)
	}
	return nil
}

// scope runs fn on a Tx that ends with it and says whether its work may stand.
func (s *session) scope(ctx context.Context, fn func(context.Context, *Tx) error, o options) error {
	tx := &Tx{s: s}
	defer tx.end()
	if o.once != "" {
		s.pending = append(s.pending, onceStatement(o.once))
	}
	err := fn(context.WithValue(ctx, scopeKey{s.db}, tx), tx)
	tx.end()
	switch {
	case errors.Is(s.failed, ErrAlreadyDone): // whatever fn made of it, the caller must know
		return s.failed
	case err != nil:
		return err
	case s.failed != nil:
		return s.failed
	}
	return whyEnded(ctx)
}

// whyEnded is nil, or the context's error and the cause that somebody gave for it.
func whyEnded(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if err != nil && !errors.Is(cause, err) {
		return fmt.Errorf("%w: %w", err, cause)
	}
	return cause
}

// nest runs fn in a savepoint.
func (tx *Tx) nest(ctx context.Context, fn func(context.Context, *Tx) error, o options) error {
	s := tx.s
	if s.failed != nil {
		return s.failed
	}
	s.depth++
	defer func() { s.depth-- }()
	name := fmt.Sprintf("scope_%d", s.depth)
	before := s.mark()
	s.pending = append(s.pending, statement{sql: "SAVEPOINT " + name, savepoint: true})
	finished := false
	defer func() {
		if !finished {
			s.undo(ctx, before, name)
		}
	}()
	err := s.scope(ctx, fn, o)
	if err == nil && o.once != "" { // whether the key was free must be known before the caller goes on
		err = s.flush(ctx)
	}
	finished = true
	if err != nil {
		s.undo(ctx, before, name)
		return err
	}
	s.keep(before, name)
	return nil
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
