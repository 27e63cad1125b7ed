package dbctx

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// liteReaders is how many scopes may read at once, beside the one that writes.
const liteReaders = 4

// liteEngine has two handles. SQLite has one write lock, so there is one connection for writers: they queue for it in
// Go, in turn and with an eye on their contexts, where more connections would poll for the lock (20 writers on four
// connections: the slowest waited 0.6 to 1 s, on one 0.02 s). Readers wait for nobody.
type liteEngine struct {
	writers, readers *sql.DB
	echo             echo
}

// liteDSN names the settings of every connection: a log that readers do not wait for, ten seconds of patience with
// other processes, foreign keys, times as text in UTC; and for writers the lock at BEGIN, so that they never find
// out half way that somebody else has it.
func liteDSN(path string, durable bool) string {
	synchronous := "NORMAL"
	if durable {
		synchronous = "FULL"
	}
	return liteFile(path) + "&_txlock=immediate&_journal_mode=WAL&_foreign_keys=1&_synchronous=" + synchronous
}

// liteFile writes a path as a URI, in which some characters mean something.
func liteFile(path string) string {
	return "file:" + strings.NewReplacer("%", "%25", "?", "%3F", "#", "%23").Replace(path) +
		fmt.Sprintf("?_busy_timeout=%d&_time_format=sqlite&_timezone=UTC", litePatience.Milliseconds())
}

func openLite(ctx context.Context, path string, p Pool) (*liteEngine, error) {
	if err := liteFolder(path); err != nil {
		return nil, err
	}
	writers, err := liteHandle(liteDSN(path, p.Durable), 1)
	if err != nil {
		return nil, err
	}
	readers, err := liteHandle(liteFile(path)+"&_txlock=deferred&_query_only=1", liteReaders+1) // one is for ping
	if err == nil {
		err = writers.PingContext(ctx) // makes the file
	}
	e := &liteEngine{writers: writers, readers: readers, echo: newEcho(p)}
	if err != nil {
		e.close()
		return nil, err
	}
	return e, nil
}

func liteHandle(dsn string, conns int) (*sql.DB, error) {
	handle, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, err
	}
	handle.SetMaxOpenConns(conns)
	handle.SetMaxIdleConns(conns)
	return handle, nil
}

// liteFolder says what SQLite itself says poorly.
func liteFolder(path string) error {
	folder := filepath.Dir(path)
	if info, err := os.Stat(folder); err != nil || !info.IsDir() {
		return fmt.Errorf("there is no folder %s; make it, or name another file in DATABASE_URL", folder)
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return fmt.Errorf("%s is a folder; name a file in DATABASE_URL", path)
	}
	return nil
}

// acquire does not wait: whoever comes here has passed the gate.
func (e *liteEngine) acquire(ctx context.Context, o options) (conn, error) {
	handle := e.writers
	if o.readOnly {
		handle = e.readers
	}
	c, err := handle.Conn(ctx)
	if err != nil {
		return nil, err
	}
	return &liteConn{c: c, timeout: o.timeout, echo: e.echo}, nil
}

// isOverdue knows how a limit of Timeout shows: the connection says it of a statement and of a pause, and another process has
// the lock.
func (e *liteEngine) isOverdue(err error) bool {
	return errors.Is(err, errOverdue) || isVictim(err)
}

var errOverdue = errors.New("no answer in time")

// ping asks a reader: a writer may be busy for long without harm.
func (e *liteEngine) ping(ctx context.Context) error {
	var tables int
	return e.readers.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_master").Scan(&tables)
}

func (e *liteEngine) stats() Stats {
	w, r := e.writers.Stats(), e.readers.Stats()
	return Stats{
		Open: w.OpenConnections + r.OpenConnections, InUse: w.InUse + r.InUse, Idle: w.Idle + r.Idle,
		Max: w.MaxOpenConnections + r.MaxOpenConnections, Waits: w.WaitCount + r.WaitCount, Wait: w.WaitDuration + r.WaitDuration,
	}
}

// close ends the writers last: the last connection tidies up the log, and a reader cannot.
func (e *liteEngine) close() {
	if e.readers != nil {
		_ = e.readers.Close()
	}
	_ = e.writers.Close()
}

type liteConn struct {
	c       *sql.Conn
	tx      *sql.Tx // nil before BEGIN
	end     context.CancelFunc
	timeout time.Duration // 0 none
	idle    *time.Timer   // ends the transaction; nil without a timeout
	echo    echo
}

// begin may wait for the lock of another process as long as ctx lives. After it the transaction is detached from ctx:
// database/sql would roll back behind our back when ctx ends.
func (c *liteConn) begin(ctx context.Context) (err error) {
	if c.tx != nil {
		return nil
	}
	defer c.echo.statement(ctx, "BEGIN", time.Now())
	if c.timeout > 0 {
		if err := c.setPatience(ctx, c.timeout); err != nil {
			return err
		}
	}
	detached, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, cancel)
	defer stop()
	c.end = cancel
	c.tx, err = c.c.BeginTx(detached, nil)
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// litePatience is how long a statement waits for the lock of another process.
const litePatience = 10 * time.Second

// setPatience changes that for a scope with a limit.
func (c *liteConn) setPatience(ctx context.Context, d time.Duration) error {
	_, err := c.c.ExecContext(ctx, fmt.Sprintf("PRAGMA busy_timeout = %d", d.Milliseconds()))
	return err
}

// limited is ctx with the limit of a statement. done ends it; it starts the limit of the pause behind the statement.
func (c *liteConn) limited(ctx context.Context) (limited context.Context, done context.CancelFunc) {
	if c.timeout == 0 {
		return ctx, unlimited
	}
	if c.idle != nil {
		c.idle.Stop()
	}
	limited, cancel := context.WithTimeoutCause(ctx, c.timeout, errOverdue)
	return limited, func() {
		cancel()
		c.idle = time.AfterFunc(c.timeout, c.end) // database/sql rolls back
	}
}

func unlimited() {}

// overdue names an error that comes from the limit. The driver tells only that it was interrupted.
func (c *liteConn) overdue(limited context.Context, err error) error {
	switch {
	case err == nil || c.timeout == 0:
		return err
	case context.Cause(limited) == errOverdue, errors.Is(err, sql.ErrTxDone), // by the pause, or just about to be
		errors.Is(err, context.Canceled) && limited.Err() == nil:
		return fmt.Errorf("%w: %w", errOverdue, err)
	}
	return err
}

func (c *liteConn) exec(ctx context.Context, batch []statement) (n int64, err error) {
	if err := c.begin(ctx); err != nil {
		return 0, err
	}
	for _, s := range batch {
		if n, err = c.one(ctx, s); err != nil {
			return 0, named(s, err)
		}
	}
	return n, nil
}

func (c *liteConn) one(ctx context.Context, s statement) (int64, error) {
	defer c.echo.statement(ctx, s.sql, time.Now())
	args, err := liteArgs(s.args)
	if err != nil {
		return 0, err
	}
	limited, done := c.limited(ctx)
	defer done()
	result, err := c.tx.ExecContext(limited, s.sql, args...)
	if err != nil {
		return 0, c.overdue(limited, err)
	}
	return result.RowsAffected()
}

func (c *liteConn) query(ctx context.Context, batch []statement) (rows, error) {
	last := batch[len(batch)-1]
	if _, err := c.exec(ctx, batch[:len(batch)-1]); err != nil {
		return nil, err
	}
	defer c.echo.statement(ctx, last.sql, time.Now())
	args, err := liteArgs(last.args)
	if err != nil {
		return nil, err
	}
	limited, done := c.limited(ctx)
	found, err := c.tx.QueryContext(limited, last.sql, args...)
	if err != nil {
		defer done()
		return nil, c.overdue(limited, err)
	}
	return &liteRows{Rows: found, c: c, limited: limited, done: done}, nil
}

func (c *liteConn) commit(ctx context.Context, batch []statement) error {
	if c.tx == nil && len(batch) == 0 {
		return nil
	}
	if _, err := c.exec(ctx, batch); err != nil {
		return err
	}
	if err := whyEnded(ctx); err != nil {
		return err
	}
	defer c.echo.statement(ctx, "COMMIT", time.Now())
	return c.overdue(ctx, c.tx.Commit()) // the driver rolls back if it fails
}

// rollback cannot fail in a way that matters: database/sql throws a connection away that cannot be rolled back.
func (c *liteConn) rollback(ctx context.Context) {
	if c.tx != nil {
		defer c.echo.statement(ctx, "ROLLBACK", time.Now())
		_ = c.tx.Rollback()
	}
}

func (c *liteConn) release() {
	if c.idle != nil {
		c.idle.Stop()
	}
	if c.end != nil {
		c.end()
	}
	if c.timeout > 0 {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = c.setPatience(ctx, litePatience)
	}
	_ = c.c.Close()
}
