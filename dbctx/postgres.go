package dbctx

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

type pgEngine struct {
	acquaintance
	pool     *pgxpool.Pool
	endLimit time.Duration
	echo     echo
}

// acquire does not wait: whoever comes here has passed the gate.
func (e *pgEngine) acquire(ctx context.Context, o options) (conn, error) {
	c, err := e.pool.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	return &pgConn{c: c, options: o, engine: e}, nil
}

// isOverdue knows the server's answers when a limit of Timeout is reached.
func (e *pgEngine) isOverdue(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == statementTimeout || pg.Code == lockTimeout || pg.Code == idleTimeout)
}

// Answers of the server to limits; the first is also its answer to a request to cancel.
const (
	statementTimeout = "57014"
	lockTimeout      = "55P03"
	idleTimeout      = "25P03"
)

func (e *pgEngine) close() { e.pool.Close() }

func (e *pgEngine) ping(ctx context.Context) error { return e.pool.Ping(ctx) }

func (e *pgEngine) stats() Stats {
	s := e.pool.Stat()
	return Stats{
		Open: int(s.TotalConns()), InUse: int(s.AcquiredConns()), Idle: int(s.IdleConns()), Max: int(s.MaxConns()),
		Waits: s.EmptyAcquireCount(), Wait: s.EmptyAcquireWaitTime(),
	}
}

// pgConn is a pooled connection. One batch is one trip: all its statements, then Sync.
type pgConn struct {
	c       *pgxpool.Conn
	tx      pgx.Tx // nil before BEGIN
	options options
	engine  *pgEngine
	spoiled bool // not to be used by another scope
	found   batchRows
}

// send sends a batch, with BEGIN in front of the first.
func (c *pgConn) send(ctx context.Context, batch []statement) (pgx.BatchResults, error) {
	b := &pgx.Batch{QueuedQueries: make([]*pgx.QueuedQuery, 0, len(batch)+2)}
	begins := c.tx == nil
	if begins {
		b.BeginTx(c.begin())
		if c.options.timeout > 0 {
			b.Queue(setLimits, fmt.Sprintf("%dms", c.options.timeout.Milliseconds()))
		}
	}
	for _, s := range batch {
		b.Queue(s.sql, s.args...)
	}
	start := time.Now()
	results := c.c.SendBatch(ctx, b)
	if !begins {
		return results, nil
	}
	defer c.engine.echo.statement(ctx, "BEGIN", start)
	c.tx = results.Tx()
	_, err := results.Exec()
	if err == nil && c.options.timeout > 0 {
		_, err = results.Exec()
	}
	if err != nil {
		_ = results.Close() // says the same
		return nil, err
	}
	return results, nil
}

// setLimits lasts as long as the transaction.
const setLimits = `SELECT set_config('statement_timeout', $1, true), set_config('lock_timeout', $1, true),
	set_config('idle_in_transaction_session_timeout', $1, true)`

var isoLevels = map[Level]pgx.TxIsoLevel{
	ReadCommitted: pgx.ReadCommitted, RepeatableRead: pgx.RepeatableRead, Serializable: pgx.Serializable,
}

func (c *pgConn) begin() (o pgx.TxOptions) {
	o.IsoLevel = isoLevels[c.options.level]
	if c.options.readOnly {
		o.AccessMode = pgx.ReadOnly
	}
	return o
}

// read takes the results of statements whose rows nobody asks for.
func (c *pgConn) read(results pgx.BatchResults, batch []statement) (n int64, err error) {
	for _, s := range batch {
		tag, err := results.Exec()
		if err != nil {
			return 0, named(s, err)
		}
		n = tag.RowsAffected()
	}
	return n, nil
}

// named says what the failure of a statement means.
func named(s statement, err error) error {
	if s.once && IsUniqueViolation(err) {
		return ErrAlreadyDone
	}
	return err
}

func (c *pgConn) exec(ctx context.Context, batch []statement) (int64, error) {
	if c.tx != nil && len(batch) == 0 {
		return 0, nil
	}
	defer c.engine.echo.trip(ctx, batch, time.Now())
	if c.tx != nil && len(batch) == 1 { // a lone statement is cheaper without a batch
		tag, err := c.c.Exec(ctx, batch[0].sql, batch[0].args...)
		return tag.RowsAffected(), named(batch[0], err)
	}
	results, err := c.send(ctx, batch)
	if err != nil {
		return 0, err
	}
	n, err := c.read(results, batch)
	if closed := results.Close(); err == nil {
		err = closed
	}
	return n, err
}

func (c *pgConn) query(ctx context.Context, batch []statement) (rows, error) {
	defer c.engine.echo.trip(ctx, batch, time.Now())
	before, last := batch[:len(batch)-1], batch[len(batch)-1]
	if c.tx != nil && len(before) == 0 {
		return c.c.Query(ctx, last.sql, last.args...)
	}
	results, err := c.send(ctx, batch)
	if err != nil {
		return nil, err
	}
	if _, err := c.read(results, before); err != nil {
		_ = results.Close()
		return nil, err
	}
	found, err := results.Query()
	if err != nil {
		_ = results.Close()
		return nil, err
	}
	c.found = batchRows{Rows: found, results: results}
	return &c.found, nil
}

// batchRows ends its batch with itself.
type batchRows struct {
	pgx.Rows
	results pgx.BatchResults
	err     error
}

// Close reads the rest of the batch.
func (r *batchRows) Close() {
	r.Rows.Close()
	if err := r.results.Close(); r.err == nil {
		r.err = err
	}
}

// Err is of the rows or of the batch behind them.
func (r *batchRows) Err() error {
	if err := r.Rows.Err(); err != nil {
		return err
	}
	return r.err
}

// commit lets COMMIT travel with the last writes. If one of them fails, the server skips everything behind it, COMMIT
// included.
//
// The trip does not end with ctx: a wire that is cut off in the middle leaves the outcome open. When ctx ends the server
// is asked to give up, and answers.
func (c *pgConn) commit(ctx context.Context, batch []statement) error {
	if c.tx == nil && len(batch) == 0 {
		return nil
	}
	if c.c.Conn().IsClosed() { // while nobody looked; nothing of it leaves
		return pgconn.ErrConnClosed
	}
	trip := append(batch, statement{sql: "COMMIT"})
	defer c.engine.echo.trip(ctx, trip, time.Now())
	results, err := c.sendLast(ctx, trip)
	if err != nil {
		return c.outcome(ctx, err, false)
	}
	wire := c.c.Conn().PgConn().Conn()
	_ = wire.SetDeadline(time.Now().Add(c.engine.endLimit))
	err = committed(results)
	if closed := results.Close(); err == nil {
		err = closed
	}
	_ = wire.SetDeadline(time.Time{})
	return c.outcome(ctx, err, true)
}

// sendLast sends a trip that ends with COMMIT, and reads the answers to the writes in front of it. Its watch ends behind a
// panic too: nobody may watch over a connection that has gone home.
func (c *pgConn) sendLast(ctx context.Context, trip []statement) (pgx.BatchResults, error) {
	defer c.watch(ctx).leave()
	results, err := c.send(context.WithoutCancel(ctx), trip)
	if err != nil {
		return nil, err
	}
	if _, err := c.read(results, trip[:len(trip)-1]); err != nil {
		_ = results.Close()
		return nil, err
	}
	return results, nil
}

// farewell watches over the last writes of a scope.
type farewell struct {
	c    *pgConn
	stop func() bool
	over atomic.Bool
	end  sync.WaitGroup // of the asking
}

// watch asks the server to give up the writes when ctx ends, until leave is called. A request that comes between two
// messages is lost, hence the repetition; one that comes late would hit the next scope, so the connection is not used again.
// A server that does not react is left.
func (c *pgConn) watch(ctx context.Context) *farewell {
	if ctx.Done() == nil {
		return nil
	}
	f := &farewell{c: c}
	f.end.Add(1)
	f.stop = context.AfterFunc(ctx, f.ask)
	return f
}

func (f *farewell) leave() {
	if f == nil || f.stop() {
		return
	}
	f.over.Store(true)
	f.end.Wait()
	f.c.spoiled = true
}

func (f *farewell) ask() {
	defer f.end.Done()
	wire := f.c.c.Conn().PgConn()
	_ = wire.Conn().SetDeadline(time.Now().Add(f.c.engine.endLimit))
	limited, cancel := context.WithTimeout(context.Background(), f.c.engine.endLimit)
	defer cancel()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for !f.over.Load() && limited.Err() == nil {
		_ = wire.CancelRequest(limited)
		<-again.C
	}
}

// committed reads the answer to COMMIT: a transaction that had failed answers ROLLBACK, without an error.
func committed(results pgx.BatchResults) error {
	tag, err := results.Exec()
	if err == nil && tag.String() == "ROLLBACK" {
		return pgx.ErrTxCommitRollback
	}
	return err
}

// outcome tells failures after which nothing is committed from those after which nobody knows. atCommit says that all
// writes had been answered.
//
// A server that answers with an error has not committed; only a FATAL one in answer to COMMIT itself may come after the
// fact. What failed before it was sent has not committed either. Everything else is a lost wire; of one that is lost while
// it reads, pgx may tell only that the connection is closed, and that it is safe to try again, which it is not.
func (c *pgConn) outcome(ctx context.Context, err error, atCommit bool) error {
	var answered *pgconn.PgError
	var unsent pgx.ErrPreprocessingBatch
	switch {
	case err == nil, errors.Is(err, ErrAlreadyDone), errors.Is(err, pgx.ErrTxCommitRollback):
		return err
	case errors.As(err, &answered) && answered.Code == statementTimeout && ctx.Err() != nil: // we asked for it
		return fmt.Errorf("%w: %w", whyEnded(ctx), err)
	case errors.As(err, &unsent), pgconn.SafeToRetry(err) && !errors.Is(err, pgconn.ErrConnClosed):
		return err
	case answered == nil && !c.c.Conn().IsClosed(): // the driver did not send it
		return err
	case errors.As(err, &answered) && !(atCommit && fatal(answered)):
		return err
	case answered != nil && answered.Code == idleTimeout: // it came before COMMIT did
		return err
	}
	c.destroy()
	if c.options.readOnly { // it had nothing to commit
		return err
	}
	return &lostCommit{err, c.c.Conn().PgConn().PID()}
}

// fatal errors end the connection; PANIC ends the server. Older servers translate the severity.
func fatal(err *pgconn.PgError) bool {
	severity := cmp.Or(err.SeverityUnlocalized, err.Severity)
	return severity == "FATAL" || severity == "PANIC"
}

func (c *pgConn) rollback(ctx context.Context) {
	if c.tx == nil || c.c.Conn().IsClosed() || c.c.Conn().PgConn().TxStatus() == 'I' {
		return
	}
	defer c.engine.echo.statement(ctx, "ROLLBACK", time.Now())
	if _, err := c.c.Exec(ctx, "ROLLBACK"); err != nil {
		c.destroy()
	}
}

// destroy closes the connection; the pool replaces it.
func (c *pgConn) destroy() { closeNow(c.c.Conn()) }

func (c *pgConn) release() {
	if c.spoiled {
		c.destroy()
	}
	c.c.Release()
}
