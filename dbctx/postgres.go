package dbctx

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// acquireLimit is how long a scope waits for a connection, as SQLAlchemy's pool_timeout.
const acquireLimit = 30 * time.Second

type pgEngine struct {
	pool *pgxpool.Pool
	wait time.Duration // for a connection
	echo echo
}

func (e *pgEngine) acquire(ctx context.Context, readOnly bool) (conn, error) {
	limited, cancel := context.WithTimeout(ctx, e.wait)
	defer cancel()
	c, err := e.pool.Acquire(limited)
	if err == nil {
		return &pgConn{c: c, readOnly: readOnly, echo: e.echo}, nil
	}
	if limited.Err() != nil && ctx.Err() == nil {
		return nil, fmt.Errorf("%w: %d of %d in use after %s", ErrNoConnection, e.pool.Stat().AcquiredConns(), e.pool.Stat().MaxConns(), e.wait)
	}
	return nil, err
}

func (e *pgEngine) close() { e.pool.Close() }

func (e *pgEngine) ping(ctx context.Context) error { return e.pool.Ping(ctx) }

func (e *pgEngine) stats() Stats {
	s := e.pool.Stat()
	return Stats{
		Open: int(s.TotalConns()), InUse: int(s.AcquiredConns()), Idle: int(s.IdleConns()), Max: int(s.MaxConns()),
		Waits: s.EmptyAcquireCount(), WaitTime: s.EmptyAcquireWaitTime(),
	}
}

// pgConn is a pooled connection. One batch is one trip: all its statements, then Sync.
type pgConn struct {
	c        *pgxpool.Conn
	tx       pgx.Tx // nil before BEGIN
	readOnly bool
	spoiled  bool // not to be used by another scope
	echo     echo
}

// send sends a batch, with BEGIN in front of the first.
func (c *pgConn) send(ctx context.Context, batch []statement) (pgx.BatchResults, error) {
	b := &pgx.Batch{}
	begins := c.tx == nil
	if begins {
		b.BeginTx(c.options())
	}
	for _, s := range batch {
		b.Queue(s.sql, s.args...)
	}
	start := time.Now()
	results := c.c.SendBatch(ctx, b)
	if !begins {
		return results, nil
	}
	defer c.echo.trip(ctx, []statement{{sql: "BEGIN"}}, start)
	c.tx = results.Tx()
	if _, err := results.Exec(); err != nil {
		_ = results.Close() // says the same
		return nil, err
	}
	return results, nil
}

func (c *pgConn) options() pgx.TxOptions {
	if c.readOnly {
		return pgx.TxOptions{AccessMode: pgx.ReadOnly}
	}
	return pgx.TxOptions{}
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
	defer c.echo.trip(ctx, batch, time.Now())
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
	defer c.echo.trip(ctx, batch, time.Now())
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
	return &batchRows{Rows: found, results: results}, nil
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
func (c *pgConn) commit(ctx context.Context, batch []statement) error {
	if c.tx == nil && len(batch) == 0 {
		return nil
	}
	trip := append(batch, statement{sql: "COMMIT"})
	defer c.echo.trip(ctx, trip, time.Now())
	longer, cancel := outliving(ctx)
	defer cancel()
	leave := c.cancelWith(ctx)
	defer leave()
	results, err := c.send(longer, trip)
	if err == nil {
		if _, err = c.read(results, batch); err != nil {
			_ = results.Close()
		}
	}
	leave()
	if err != nil {
		return c.outcome(ctx, err, false)
	}
	limit := time.AfterFunc(endLimit, cancel)
	defer limit.Stop()
	err = committed(results)
	if closed := results.Close(); err == nil {
		err = closed
	}
	return c.outcome(ctx, err, true)
}

// cancelWith asks the server to give up its writes when ctx ends, until leave is called. The answer stays certain that
// way, where a wire cut off in the middle leaves it open. A request that comes between two messages is lost, hence
// the repetition; one that comes late would hit the next scope, so the connection is not used again.
func (c *pgConn) cancelWith(ctx context.Context) (leave func()) {
	left, asked := make(chan struct{}), make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(asked)
		c.askToCancel(ctx, left)
	})
	return sync.OnceFunc(func() {
		close(left)
		if !stop() {
			<-asked
			c.spoiled = true
		}
	})
}

func (c *pgConn) askToCancel(ctx context.Context, left <-chan struct{}) {
	limited, cancel := ending(ctx)
	defer cancel()
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for {
		_ = c.c.Conn().PgConn().CancelRequest(limited)
		select {
		case <-again.C:
		case <-left:
			return
		case <-limited.Done():
			return
		}
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
// fact. What failed before it was sent has not committed either. Everything else is a lost wire.
func (c *pgConn) outcome(ctx context.Context, err error, atCommit bool) error {
	var answered *pgconn.PgError
	var unsent pgx.ErrPreprocessingBatch
	switch {
	case err == nil, errors.Is(err, ErrAlreadyDone), errors.Is(err, pgx.ErrTxCommitRollback):
		return err
	case errors.As(err, &answered) && answered.Code == "57014" && ctx.Err() != nil: // we asked for it
		return fmt.Errorf("%w: %w", whyEnded(ctx), err)
	case errors.As(err, &unsent), pgconn.SafeToRetry(err):
		return err
	case answered == nil && !c.c.Conn().IsClosed(): // the driver did not send it
		return err
	case errors.As(err, &answered) && !(atCommit && fatal(answered)):
		return err
	}
	c.destroy()
	if c.readOnly { // it had nothing to commit
		return err
	}
	return fmt.Errorf("%w: %w", ErrCommitUnknown, err)
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
	defer c.echo.trip(ctx, []statement{{sql: "ROLLBACK"}}, time.Now())
	if _, err := c.c.Exec(ctx, "ROLLBACK"); err != nil {
		c.destroy()
	}
}

// destroy closes the connection; the pool replaces it.
func (c *pgConn) destroy() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = c.c.Conn().Close(ctx)
}

func (c *pgConn) release() {
	if c.spoiled {
		c.destroy()
	}
	c.c.Release()
}
