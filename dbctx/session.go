package dbctx

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"go.opentelemetry.io/otel/trace"
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
	// commit sends statements and COMMIT in one trip. The writes are given up when ctx ends, COMMIT only after the limit of
	// the end. ErrCommitUnknown if the answer was lost.
	commit(ctx context.Context, batch []statement) error
	// rollback ends the transaction; if that fails, the connection is not used again.
	rollback(ctx context.Context)
	// release gives the connection back.
	release()
}

// session is the transaction that a scope and the scopes nested in it share.
type session struct {
	db        *DB
	options   options
	outermost Tx
	innermost *Tx     // of the scope whose fn runs
	owner     uintptr // the goroutine that may use it
	conn      conn    // nil until the first trip
	pending   []statement
	room      [4]statement // for pending, so that a short scope needs no other
	trips     int          // how often something left
	open      *Rows        // not read to the end; nothing can be sent beside them
	failed    error        // of the first statement that failed; nothing is sent after it but a rollback
	unsent    bool         // it failed before it left
	fence     string       // a key of Once that is written exactly if the scope commits; "" none
	hooks     []func()
	depth     int // of nested scopes
	saved     int // savepoints that stand in the database, fewer than depth as long as some have not left
	span      trace.Span
	stands    bool // committed

	// Other goroutines look at these.
	ended   atomic.Bool           // the outermost fn has returned
	offence atomic.Pointer[error] // against a guard
	holds   atomic.Bool           // a connection

	// Of the list of open scopes, whose lock they are under.
	before, after *session
	began         time.Time
	caller        uintptr
	warned        bool
}

// mark is a point that a nested scope can be taken back to.
type mark struct {
	pending, trips, hooks int
	fence                 string
}

func (s *session) mark() mark { return mark{len(s.pending), s.trips, len(s.hooks), s.fence} }

// undo takes back everything since the mark. If nothing has left since, there is nothing to tell the database. If the
// savepoint is not there, because a statement before it failed or the wire is lost, the whole scope has failed. It must not be
// asked for then: an earlier one of the same name may still stand, and would take back what is not its own.
func (s *session) undo(ctx context.Context, before mark, name string) {
	s.hooks, s.fence = s.hooks[:before.hooks], before.fence
	if s.trips == before.trips {
		s.pending = s.pending[:before.pending]
		if s.unsent {
			s.failed, s.unsent = nil, false
		}
		return
	}
	s.pending = s.pending[:0]
	if s.saved < s.depth {
		return
	}
	s.saved--
	s.trips++
	ctx, cancel := s.db.ending(ctx)
	defer cancel()
	if _, err := s.conn.exec(ctx, []statement{{sql: "ROLLBACK TO SAVEPOINT " + name}}); err != nil {
		// A wire that is lost now is the better reason; one that was closed already has had its own.
		if s.failed == nil || IsUnavailable(err) && !errors.Is(err, pgconn.ErrConnClosed) {
			s.failed = err
		}
		return
	}
	s.failed, s.unsent = nil, false
	s.pending = append(s.pending, statement{sql: "RELEASE SAVEPOINT " + name})
}

// keep ends a nested scope that succeeded. A savepoint that has not left is not needed any more.
func (s *session) keep(before mark, name string) {
	if s.trips == before.trips {
		s.pending = slices.Delete(s.pending, before.pending, before.pending+1)
		return
	}
	s.saved--
	s.pending = append(s.pending, statement{sql: "RELEASE SAVEPOINT " + name})
}

// openFence takes the key of Once back, so that the work can be done later. The key is written first even if nothing has left
// yet: whoever finds it there may not commit.
func (s *session) openFence(key string) {
	if key == "" {
		return
	}
	if s.fence == key {
		s.fence = ""
	}
	s.pending = append(s.pending, statement{sql: `DELETE FROM done_keys WHERE key = $1`, args: []any{key}})
}

// ending is a context for the last words of a scope: they are said even if its own context has ended.
func (db *DB) ending(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), db.endLimit)
}

// connect takes a connection, once.
func (s *session) connect(ctx context.Context) error {
	if s.conn != nil {
		return nil
	}
	err := s.gate().enter(ctx, func() error {
		if s.db.scopes.heldBy(s.owner, s.gate()) { // it would wait for itself
			return ErrScopeInScope
		}
		return nil
	})
	if errors.Is(err, ErrNoConnection) {
		err = fmt.Errorf("%w within %s; %s", ErrNoConnection, s.db.wait, s.db.scopes.crowd(s.gate()))
	}
	if err != nil {
		return s.refuse(err)
	}
	c, err := s.db.engine.acquire(ctx, s.options)
	if err != nil {
		s.gate().leave()
		return s.refuse(s.db.noConn(ctx, err))
	}
	s.conn = c
	s.holds.Store(true)
	return nil
}

// disconnect gives the connection back.
func (s *session) disconnect() {
	s.conn.release()
	s.conn = nil
	s.holds.Store(false)
	s.gate().leave()
}

// gate is the one that the session's connection is behind.
func (s *session) gate() *gate { return s.db.gate(s.options) }

// prepare makes the way free for a statement: it takes the connection and sends the savepoints that are waiting.
// They travel ahead, so that whatever fails in a nested scope fails behind its savepoint.
func (s *session) prepare(ctx context.Context) error {
	if offence := s.offence.Load(); offence != nil {
		return *offence
	}
	if s.failed != nil {
		return s.failed
	}
	if s.open != nil {
		return s.refuse(errRowsOpen)
	}
	if err := whyEnded(ctx); err != nil { // before a savepoint is lost with it
		return s.refuse(err)
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
		s.saved++
	}
	return nil
}

// leave returns what is pending and what comes behind it, to be sent in one trip. It is of use until the next statement.
func (s *session) leave(last ...statement) []statement {
	batch := append(s.pending, last...)
	s.pending = batch[:0]
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

// fail remembers the first failure, and names it if the scope's own limit was the reason.
func (s *session) fail(err error) error {
	if err == nil {
		return nil
	}
	err = s.overdue(err)
	if s.failed == nil {
		s.failed = err
	}
	return err
}

// refuse is fail for a statement that has not left: of it the database knows nothing, so there is no savepoint to go back to.
func (s *session) refuse(err error) error {
	s.unsent = s.unsent || s.failed == nil
	return s.fail(err)
}

// overdue says that it was the limit of Timeout, if it was.
func (s *session) overdue(err error) error {
	if s.options.timeout > 0 && !errors.Is(err, ErrTimeout) && s.db.engine.isOverdue(err) {
		return fmt.Errorf("%w of %s: %w", ErrTimeout, s.options.timeout, err)
	}
	return err
}

func (s *session) rollback(ctx context.Context) {
	s.hooks, s.pending = nil, nil
	if s.conn == nil {
		return
	}
	defer s.disconnect()
	ctx, cancel := s.db.ending(ctx)
	defer cancel()
	s.conn.rollback(ctx)
}
