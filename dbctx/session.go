package dbctx

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// statement is SQL on its way to the database.
type statement struct {
	sql  string
	args []any
	once bool // a unique violation means ErrAlreadyDone
}

func onceStatement(key string) statement {
	now := time.Now().UTC().Truncate(time.Microsecond)
	return statement{sql: `INSERT INTO done_keys (key, at) VALUES ($1, $2)`, args: []any{key, now}, once: true}
}

// conn is one connection and the transaction on it, which begins with the first trip.
type conn interface {
	// exec sends statements in one trip and returns the rows affected by the last.
	exec(ctx context.Context, batch []statement) (int64, error)
	// query sends statements and reads the rows of the last.
	query(ctx context.Context, batch []statement) (rows, error)
	// commit sends statements and COMMIT in one trip. ErrCommitUnknown if the answer was lost.
	commit(ctx context.Context, batch []statement) error
	// rollback ends the transaction; if that fails, the connection is not used again.
	rollback(ctx context.Context)
	// release gives the connection back.
	release()
}

// session is the transaction that a scope and the scopes nested in it share.
type session struct {
	db       *DB
	conn     conn // nil until the first trip
	readOnly bool
	pending  []statement // what leaves with the next trip
	trips    int         // how often something left
	failed   error       // of the first statement that failed; nothing is sent after it but a rollback
	hooks    []func()
	depth    int // of nested scopes
}

// mark is a point that a nested scope can be taken back to.
type mark struct{ pending, trips, hooks int }

// undo takes back everything since the mark. If nothing has left since, there is nothing to tell the database.
func (s *session) undo(ctx context.Context, before mark, name string) {
	s.hooks = s.hooks[:before.hooks]
	if s.trips == before.trips {
		s.pending = s.pending[:before.pending]
		return
	}
	s.pending = nil
	ctx, cancel := ending(ctx)
	defer cancel()
	_, s.failed = s.conn.exec(ctx, []statement{{sql: "ROLLBACK TO SAVEPOINT " + name}})
	s.trips++
	s.pending = []statement{{sql: "RELEASE SAVEPOINT " + name}}
}

// ending is a context for the last words of a scope: they are said even if its own context has ended.
func ending(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), endLimit)
}

// connect takes a connection, once.
func (s *session) connect(ctx context.Context) error {
	if s.conn != nil {
		return nil
	}
	c, err := s.db.engine.acquire(ctx, s.readOnly)
	if err != nil {
		return s.fail(err)
	}
	s.conn = c
	return nil
}

// leave returns what is pending and what comes behind it, to be sent in one trip.
func (s *session) leave(last ...statement) []statement {
	batch := append(s.pending, last...)
	s.pending = nil
	s.trips++
	return batch
}

func (s *session) flush(ctx context.Context) error {
	if len(s.pending) == 0 {
		return s.failed
	}
	if err := s.connect(ctx); err != nil {
		return err
	}
	_, err := s.conn.exec(ctx, s.leave())
	return s.fail(err)
}

// fail remembers the first failure.
func (s *session) fail(err error) error {
	if err != nil && s.failed == nil {
		s.failed = err
	}
	return err
}

func (s *session) commit(ctx context.Context) error {
	if s.conn == nil && len(s.pending) == 0 {
		return nil
	}
	if err := s.connect(ctx); err != nil {
		return err
	}
	defer s.conn.release()
	ctx, cancel := ending(ctx)
	defer cancel()
	err := s.conn.commit(ctx, s.leave())
	if err != nil && !errors.Is(err, ErrCommitUnknown) {
		s.conn.rollback(ctx)
	}
	if err != nil && !errors.Is(err, ErrAlreadyDone) {
		return fmt.Errorf("commit: %w", err)
	}
	return err
}

func (s *session) rollback(ctx context.Context) {
	s.hooks, s.pending = nil, nil
	if s.conn == nil {
		return
	}
	defer s.conn.release()
	ctx, cancel := ending(ctx)
	defer cancel()
	s.conn.rollback(ctx)
}
