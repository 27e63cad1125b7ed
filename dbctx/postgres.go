package dbctx

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// acquireLimit is how long a scope waits for a connection, as SQLAlchemy's pool_timeout.
const acquireLimit = 30 * time.Second

type pgEngine struct {
	pool *pgxpool.Pool
	echo echo
}

func (e *pgEngine) acquire(ctx context.Context, readOnly bool) (conn, error) {
	limited, cancel := context.WithTimeout(ctx, acquireLimit)
	defer cancel()
	c, err := e.pool.Acquire(limited)
	if err == nil {
		return &pgConn{c: c, readOnly: readOnly, echo: e.echo}, nil
	}
	if limited.Err() != nil && ctx.Err() == nil {
		return nil, fmt.Errorf("%w: %d of %d in use for %s", ErrNoConnection, e.pool.Stat().AcquiredConns(), e.pool.Stat().MaxConns(), acquireLimit)
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
	echo     echo
}

// send sends a batch, with BEGIN in front of the first.
func (c *pgConn) send(ctx context.Context, batch []statement) (pgx.BatchResults, error) {
	b := &pgx.Batch{}
	begins := c.tx == nil
	if begins {
		o := pgx.TxOptions{}
		if c.readOnly {
			o.AccessMode = pgx.ReadOnly
		}
		b.BeginTx(o)
	}
	for _, s := range batch {
		b.Queue(s.sql, s.args...)
	}
	defer c.echo.trip(ctx, batch, time.Now())
	results := c.c.SendBatch(ctx, b)
	if begins {
		c.tx = results.Tx()
		if _, err := results.Exec(); err != nil {
			return nil, errors.Join(err, results.Close())
		}
	}
	return results, nil
}

// read takes the results of statements whose rows nobody asks for.
func (c *pgConn) read(results pgx.BatchResults, batch []statement) (n int64, err error) {
	for _, s := range batch {
		tag, err := results.Exec()
		if err != nil {
			return 0, c.failed(s, err)
		}
		n = tag.RowsAffected()
	}
	return n, nil
}

// failed names the error of a statement, and ends a connection whose server takes no writes: a failover has left
// it on the wrong side.
func (c *pgConn) failed(s statement, err error) error {
	if s.once && IsUniqueViolation(err) {
		return ErrAlreadyDone
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "25006" && !c.readOnly {
		c.destroy()
	}
	return err
}

func (c *pgConn) exec(ctx context.Context, batch []statement) (int64, error) {
	if c.tx != nil && len(batch) == 0 {
		return 0, nil
	}
	if c.tx != nil && len(batch) == 1 { // a lone statement is cheaper without a batch
		defer c.echo.trip(ctx, batch, time.Now())
		tag, err := c.c.Exec(ctx, batch[0].sql, batch[0].args...)
		if err != nil {
			return 0, c.failed(batch[0], err)
		}
		return tag.RowsAffected(), nil
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
	before, last := batch[:len(batch)-1], batch[len(batch)-1]
	if c.tx != nil && len(before) == 0 {
		defer c.echo.trip(ctx, batch, time.Now())
		found, err := c.c.Query(ctx, last.sql, last.args...)
		if err != nil {
			return nil, c.failed(last, err)
		}
		return found, nil
	}
	results, err := c.send(ctx, batch)
	if err != nil {
		return nil, err
	}
	if _, err := c.read(results, before); err != nil {
		results.Close()
		return nil, err
	}
	found, err := results.Query()
	if err != nil {
		results.Close()
		return nil, c.failed(last, err)
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
	results, err := c.send(ctx, append(batch, statement{sql: "COMMIT"}))
	if err == nil {
		if _, err = c.read(results, batch); err == nil {
			err = committed(results)
		}
		if closed := results.Close(); err == nil {
			err = closed
		}
	}
	var answered *pgconn.PgError
	if err == nil || errors.As(err, &answered) || errors.Is(err, ErrAlreadyDone) || errors.Is(err, pgx.ErrTxCommitRollback) {
		return err
	}
	c.destroy()
	return fmt.Errorf("%w: %w", ErrCommitUnknown, err)
}

// committed reads the answer to COMMIT: a transaction that had failed answers ROLLBACK, without an error.
func committed(results pgx.BatchResults) error {
	tag, err := results.Exec()
	if err == nil && tag.String() == "ROLLBACK" {
		return pgx.ErrTxCommitRollback
	}
	return err
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

func (c *pgConn) release() { c.c.Release() }
