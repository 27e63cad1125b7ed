package dbctx

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// liteConns is how many scopes may have a transaction at once; SQLite lets one of them write.
const liteConns = 4

// liteEngine has two handles: writers take SQLite's one write lock with BEGIN, so that they never find out half way
// that somebody else has it; readers take none.
type liteEngine struct {
	writers, readers *sql.DB
	echo             echo
}

// liteDSN names the settings of every connection: the write lock at BEGIN, a log that readers do not wait for, ten
// seconds of patience with other processes, foreign keys, times as text in UTC.
func liteDSN(path string, durable bool) string {
	synchronous := "NORMAL"
	if durable {
		synchronous = "FULL"
	}
	return "file:" + path + "?_txlock=immediate&_journal_mode=WAL&_busy_timeout=10000&_foreign_keys=1" +
		"&_time_format=sqlite&_timezone=UTC&_synchronous=" + synchronous
}

func openLite(path string, p Pool) (*liteEngine, error) {
	if err := liteFolder(path); err != nil {
		return nil, err
	}
	writers, err := sql.Open("sqlite", liteDSN(path, p.Durable))
	if err != nil {
		return nil, err
	}
	writers.SetMaxOpenConns(liteConns)
	readers, err := sql.Open("sqlite", "file:"+path+"?_txlock=deferred&_busy_timeout=10000&_pragma=query_only(1)&_time_format=sqlite&_timezone=UTC")
	if err != nil {
		writers.Close()
		return nil, err
	}
	readers.SetMaxOpenConns(liteConns)
	return &liteEngine{writers: writers, readers: readers, echo: newEcho(p)}, nil
}

// liteFolder says what SQLite itself says poorly.
func liteFolder(path string) error {
	folder := filepath.Dir(path)
	if info, err := os.Stat(folder); err != nil || !info.IsDir() {
		return fmt.Errorf("%w: there is no folder %s; make it, or name another file in DATABASE_URL", ErrUnreachable, folder)
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return fmt.Errorf("%w: %s is a folder; name a file in DATABASE_URL", ErrUnreachable, path)
	}
	return nil
}

func (e *liteEngine) acquire(ctx context.Context, readOnly bool) (conn, error) {
	handle := e.writers
	if readOnly {
		handle = e.readers
	}
	limited, cancel := context.WithTimeout(ctx, acquireLimit)
	defer cancel()
	c, err := handle.Conn(limited)
	if err != nil {
		if limited.Err() != nil && ctx.Err() == nil {
			return nil, fmt.Errorf("%w: %d in use for %s", ErrNoConnection, liteConns, acquireLimit)
		}
		return nil, err
	}
	return &liteConn{c: c, echo: e.echo}, nil
}

func (e *liteEngine) ping(ctx context.Context) error {
	var one int
	return e.writers.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_master").Scan(&one)
}

func (e *liteEngine) stats() Stats {
	w, r := e.writers.Stats(), e.readers.Stats()
	return Stats{
		Open: w.OpenConnections + r.OpenConnections, InUse: w.InUse + r.InUse, Idle: w.Idle + r.Idle,
		Max: w.MaxOpenConnections + r.MaxOpenConnections, Waits: w.WaitCount + r.WaitCount, WaitTime: w.WaitDuration + r.WaitDuration,
	}
}

func (e *liteEngine) close() {
	e.readers.Close()
	e.writers.Close()
}

type liteConn struct {
	c    *sql.Conn
	tx   *sql.Tx // nil before BEGIN
	echo echo
}

// begin is detached from ctx: database/sql would roll back behind our back when ctx ends.
func (c *liteConn) begin(ctx context.Context) (err error) {
	if c.tx == nil {
		c.tx, err = c.c.BeginTx(context.WithoutCancel(ctx), nil)
	}
	return err
}

func (c *liteConn) exec(ctx context.Context, batch []statement) (n int64, err error) {
	if err := c.begin(ctx); err != nil {
		return 0, err
	}
	defer c.echo.trip(ctx, batch, time.Now())
	for _, s := range batch {
		result, err := c.tx.ExecContext(ctx, s.sql, liteArgs(s.args)...)
		if s.once && IsUniqueViolation(err) {
			return 0, ErrAlreadyDone
		}
		if err != nil {
			return 0, err
		}
		if n, err = result.RowsAffected(); err != nil {
			return 0, err
		}
	}
	return n, nil
}

func (c *liteConn) query(ctx context.Context, batch []statement) (rows, error) {
	last := batch[len(batch)-1]
	if _, err := c.exec(ctx, batch[:len(batch)-1]); err != nil {
		return nil, err
	}
	defer c.echo.trip(ctx, batch[len(batch)-1:], time.Now())
	found, err := c.tx.QueryContext(ctx, last.sql, liteArgs(last.args)...)
	if err != nil {
		return nil, err
	}
	return liteRows{found}, nil
}

func (c *liteConn) commit(ctx context.Context, batch []statement) error {
	if c.tx == nil && len(batch) == 0 {
		return nil
	}
	if _, err := c.exec(ctx, batch); err != nil {
		return err
	}
	defer c.echo.trip(ctx, []statement{{sql: "COMMIT"}}, time.Now())
	return c.tx.Commit()
}

// rollback cannot fail in a way that matters: database/sql throws a connection away that cannot be rolled back.
func (c *liteConn) rollback(context.Context) {
	if c.tx != nil {
		_ = c.tx.Rollback()
	}
}

func (c *liteConn) release() { _ = c.c.Close() }
