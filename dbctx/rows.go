package dbctx

import "context"

// rows is what the two drivers have in common.
type rows interface {
	Next() bool
	Scan(dest ...any) error
	Err() error
	Close()
}

// Rows are the rows of a query, to be closed before the next statement of the scope.
type Rows struct {
	s    *session
	rows rows
}

// Next moves to the next row; false at the end or after an error.
func (r *Rows) Next() bool { return r.rows.Next() }

// Scan reads the row into pointers. A NULL needs a pointer to a pointer.
func (r *Rows) Scan(dest ...any) error { return r.s.fail(r.rows.Scan(dest...)) }

// Err is the error that ended the rows early. Ask after Close.
func (r *Rows) Err() error { return r.s.fail(r.rows.Err()) }

// Close ends the rows. More than once is fine.
func (r *Rows) Close() { r.rows.Close() }

// Row is the first row of a query.
type Row struct {
	rows *Rows
	err  error
}

// Scan reads it into pointers. ErrNoRows, which does not fail the scope, if there is none.
func (r *Row) Scan(dest ...any) error {
	if r.err != nil {
		return r.err
	}
	found := r.rows.Next()
	if found {
		if err := r.rows.Scan(dest...); err != nil {
			r.rows.Close()
			return err
		}
	}
	r.rows.Close()
	if err := r.rows.Err(); err != nil {
		return err
	}
	if !found {
		return ErrNoRows
	}
	return nil
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
	found.Close()
	return all, found.Err()
}
