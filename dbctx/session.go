package dbctx

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// statement is SQL on its way to the database.
type statement struct {
	sql       string
	args      []any
	once      bool // a unique violation means ErrAlreadyDone
	savepoint bool // what comes behind it leaves in a later trip
}

// onceStatement is a plain INSERT on purpose. Its failure makes the server skip all that travels behind it, COMMIT
// included; ON CONFLICT DO NOTHING would let the rest of the trip take effect.
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
	// commit sends statements and COMMIT in one trip. The writes are given up when ctx ends, COMMIT only after endLimit.
	// ErrCommitUnknown if the answer was lost.
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
	ended    bool        // the outermost fn has returned
	pending  []statement // what leaves with the next trip
	trips    int         // how often something left
	open     *Rows       // not read to the end; nothing can be sent beside them
	failed   error       // of the first statement that failed; nothing is sent after it but a rollback
	hooks    []func()
	depth    int // of nested scopes
}

// mark is a point that a nested scope can be taken back to.
type mark struct{ pending, trips, hooks int }

func (s *session) mark() mark { return mark{len(s.pending), s.trips, len(s.hooks)} }

// undo takes back everything since the mark. If nothing has left since, there is nothing to tell the database. If the
// savepoint is not there, because a statement before it failed or the wire is lost, the whole scope has failed.
func (s *session) undo(ctx context.Context, before mark, name string) {
	s.hooks = s.hooks[:before.hooks]
	if s.trips == before.trips {
		s.pending = s.pending[:before.pending]
		return
	}
	ctx, cancel := ending(ctx)
	defer cancel()
	s.trips++
	if _, err := s.conn.exec(ctx, []statement{{sql: "ROLLBACK TO SAVEPOINT " + name}}); err != nil {
		s.pending = nil
		_ = s.fail(err)
		return
	}
	s.failed, s.pending = nil, []statement{{sql: "RELEASE SAVEPOINT " + name}}
}

// keep ends a nested scope that succeeded. A savepoint that has not left is not needed any more.
func (s *session) keep(before mark, name string) {
	if s.trips == before.trips {
		s.pending = append(s.pending[:before.pending], s.pending[before.pending+1:]...)
		return
	}
	s.pending = append(s.pending, statement{sql: "RELEASE SAVEPOINT " + name})
}

// ending is a context for the last words of a scope: they are said even if its own context has ended.
func ending(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), endLimit)
}

// outliving is a context that ends endLimit after ctx does.
func outliving(ctx context.Context) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		select {
		case <-time.After(endLimit):
			cancel()
		case <-longer.Done():
		}
	})
	return longer, func() { stop(); cancel() }
}

// connect takes a connection, once.
func (s *session) connect(ctx context.Context) error {
	if s.conn != nil {
		return nil
	}
	c, err := s.db.engine.acquire(ctx, s.readOnly)
	var lost *pgconn.ConnectError
	if errors.As(err, &lost) && ctx.Err() == nil {
		err = s.db.unreachable(err)
	}
	if err != nil {
		return s.fail(err)
	}
	s.conn = c
	return nil
}

// prepare makes the way free for a statement: it takes the connection and sends the savepoints that are waiting.
// They travel ahead, so that whatever fails in a nested scope fails behind its savepoint.
func (s *session) prepare(ctx context.Context) error {
	if s.failed != nil {
		return s.failed
	}
	if s.open != nil {
		return s.fail(errRowsOpen)
	}
	if err := s.connect(ctx); err != nil {
		return err
	}
	for i := 0; i < len(s.pending); i++ {
		if !s.pending[i].savepoint {
			continue
		}
		batch := s.pending[:i+1]
		s.pending, i = s.pending[i+1:], -1
		s.trips++
		if _, err := s.conn.exec(ctx, batch); err != nil {
			return s.fail(err)
		}
	}
	return nil
}

// leave returns what is pending and what comes behind it, to be sent in one trip.
func (s *session) leave(last ...statement) []statement {
	batch := append(s.pending, last...)
	s.pending = nil
	s.trips++
	return batch
}

// flush sends what is pending.
func (s *session) flush(ctx context.Context) error {
	if err := s.prepare(ctx); err != nil {
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
	err := s.conn.commit(ctx, s.leave())
	if err == nil {
		return nil
	}
	if !errors.Is(err, ErrCommitUnknown) {
		ctx, cancel := ending(ctx)
		defer cancel()
		s.conn.rollback(ctx)
	}
	if errors.Is(err, ErrAlreadyDone) {
		return err
	}
	return fmt.Errorf("commit: %w", err)
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
