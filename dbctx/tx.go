package dbctx

import (
	"context"
	"database/sql"
	"errors"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
)

// Tx is the open scope. It belongs to the goroutine that runs the scope, any other gets ErrOtherGoroutine, and is of no
// use after it: every method then returns ErrTxDone. Either mistake rolls the whole scope back if it is still open. Inside a nested scope use the Tx of that scope; what is done through the outer one belongs to
// the nested one all the same.
type Tx struct {
	s     *session
	ctx   scopeContext
	outer *Tx // that it is nested in; nil for the outermost
	ended atomic.Bool
}

// end closes the rows that fn left open; an error they held back fails the scope.
func (tx *Tx) end() {
	tx.ended.Store(true)
	tx.s.innermost = tx.outer
	if open := tx.s.open; open != nil && open.tx == tx {
		open.Close()
	}
}

// Dialect says which database the scope is on.
func (tx *Tx) Dialect() Dialect { return tx.s.db.target.dialect }

// Queue defers a write. It leaves, in order, with the next statement that needs an answer, at the latest together
// with COMMIT; reading does not send it early unless the read is on this Tx, which then sees it. If it fails,
// whatever carried it fails, and the scope with it.
//
// A trip is prepared as a whole: a table must be made with Exec before a queued statement can name it.
func (tx *Tx) Queue(sql string, args ...any) {
	if tx.guard() != nil {
		return
	}
	tx.s.pending = append(tx.s.pending, statement{sql: sql, args: args})
}

// AfterCommit calls fn after the outermost scope has committed, in order of registration. It is dropped with its
// own scope, and one that panics hurts nobody. Use it for speed (wake, cache, metric), never for truth: what must
// happen is a row.
func (tx *Tx) AfterCommit(fn func()) {
	if tx.guard() != nil {
		return
	}
	tx.s.hooks = append(tx.s.hooks, fn)
}

// ready says whether a statement may leave, and makes the way free for it.
func (tx *Tx) ready(ctx context.Context) error {
	if err := tx.guard(); err != nil {
		return err
	}
	return tx.s.prepare(ctx)
}

// Exec runs a statement, behind what was queued, and returns how many rows it affected.
func (tx *Tx) Exec(ctx context.Context, sql string, args ...any) (int64, error) {
	if err := tx.ready(ctx); err != nil {
		return 0, err
	}
	n, err := tx.s.conn.exec(ctx, tx.s.leave(statement{sql: sql, args: args}))
	return n, tx.s.fail(err)
}

// Query runs a statement, behind what was queued, and returns its rows. They are to be read to the end or closed before
// the next statement, which fails otherwise.
func (tx *Tx) Query(ctx context.Context, sql string, args ...any) (*Rows, error) {
	r := &Rows{tx: tx}
	if err := r.query(ctx, sql, args); err != nil {
		return nil, err
	}
	return r, nil
}

// QueryRow runs a statement whose first row is asked for; Scan tells the error.
func (tx *Tx) QueryRow(ctx context.Context, sql string, args ...any) *Row {
	r := &Row{rows: Rows{tx: tx}}
	r.err = r.rows.query(ctx, sql, args)
	return r
}

// Pgx is the transaction as pgx sees it, begun, with everything queued sent: for libraries that join it. They must
// not end it. If one of its statements fails and the error is ignored, the commit fails with pgx.ErrTxCommitRollback.
// An error on SQLite.
func (tx *Tx) Pgx(ctx context.Context) (pgx.Tx, error) {
	if err := tx.begin(ctx); err != nil {
		return nil, err
	}
	if c, ok := tx.s.conn.(*pgConn); ok {
		return c.tx, nil
	}
	return nil, errors.New("the database is SQLite, use Tx.SQL")
}

// SQL is the transaction as database/sql sees it, the same for SQLite, but that here an error which is ignored stays
// ignored: pass it on. An error on PostgreSQL.
func (tx *Tx) SQL(ctx context.Context) (*sql.Tx, error) {
	if err := tx.begin(ctx); err != nil {
		return nil, err
	}
	if c, ok := tx.s.conn.(*liteConn); ok {
		return c.tx, nil
	}
	return nil, errors.New("the database is PostgreSQL, use Tx.Pgx")
}

func (tx *Tx) begin(ctx context.Context) error {
	if err := tx.guard(); err != nil {
		return err
	}
	return tx.s.flush(ctx)
}
