package dbctx

import (
	"cmp"
	"context"
	"errors"
)

// rows is what the two drivers have in common.
type rows interface {
	Next() bool
	Scan(dest ...any) error
	Err() error
	Close()
}

// errRowsOpen is a loop that sends statements while it reads: on one connection the two cannot happen at once.
var errRowsOpen = errors.New("the rows of the last query are still open; read them to the end or close them first")

// Rows are the rows of a query, to be read to the end or closed before the next statement of the scope.
type Rows struct {
	tx     *Tx
	rows   rows
	closed bool
}

// query sends the statement behind what is pending.
func (r *Rows) query(ctx context.Context, sql string, args []any) error {
	if err := r.tx.ready(ctx); err != nil {
		return err
	}
	s := r.tx.s
	found, err := s.conn.query(ctx, s.leave(statement{sql: sql, args: args}))
	if err != nil {
		return s.fail(err)
	}
	r.tx = s.innermost // whichever it was asked through
	r.rows, s.open = found, r
	return nil
}

// Next moves to the next row. At the end, or after an error, it closes the rows and is false.
func (r *Rows) Next() bool {
	if r.tx.guard() != nil || r.closed {
		return false
	}
	if r.rows.Next() {
		return true
	}
	r.Close()
	return false
}

// Scan reads the row into pointers. A NULL needs a pointer to a pointer. An error fails the scope.
func (r *Rows) Scan(dest ...any) error {
	if err := r.tx.guard(); err != nil {
		return err
	}
	return r.tx.s.fail(r.rows.Scan(dest...))
}

// Err is the error that ended the rows early, nil if there was none. Ask after Next was false.
func (r *Rows) Err() error {
	if offence := r.tx.s.offence.Load(); offence != nil {
		return *offence
	}
	if err := r.tx.s.guard(); err != nil {
		return err
	}
	return r.tx.s.overdue(r.rows.Err())
}

// Close ends the rows. More than once is fine. An error that they held back fails the scope.
func (r *Rows) Close() {
	if r.tx.s.guard() != nil || r.closed {
		return
	}
	r.closed = true
	r.rows.Close()
	_ = r.tx.s.fail(r.rows.Err())
	if r.tx.s.open == r {
		r.tx.s.open = nil
	}
}

// Row is the first row of a query.
type Row struct {
	rows Rows
	err  error
}

// Scan reads it into pointers. ErrNoRows, which does not fail the scope, if there is none.
func (r *Row) Scan(dest ...any) error {
	if r.err != nil {
		return r.err
	}
	defer r.rows.Close()
	if !r.rows.Next() {
		return cmp.Or(r.rows.Err(), ErrNoRows)
	}
	if err := r.rows.Scan(dest...); err != nil {
		return err
	}
	r.rows.Close()
	return r.rows.Err()
}

// Scanner is a row to be read: *Rows or *Row.
type Scanner interface{ Scan(dest ...any) error }

// All runs a query and reads every row with scan. No rows are a nil slice.
func All[T any](ctx context.Context, tx *Tx, scan func(Scanner) (T, error), sql string, args ...any) ([]T, error) {
	found, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	defer found.Close()
	var all []T
	for found.Next() {
		v, err := scan(found)
		if err != nil {
			return nil, tx.s.fail(err)
		}
		all = append(all, v)
	}
	return all, found.Err()
}
