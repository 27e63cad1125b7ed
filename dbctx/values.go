package dbctx

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"slices"
	"time"
)

// liteTime is how times are stored in SQLite: of one width, in UTC and in microseconds as PostgreSQL keeps them, so that
// they compare as text.
const liteTime = "2006-01-02 15:04:05.000000+00:00"

// liteArgs writes times in that form and leaves the rest to the driver. The caller's slice stays as it is.
func liteArgs(args []any) (converted []any, err error) {
	converted = args
	for i, arg := range args {
		own, is, err := liteArg(arg)
		if err != nil {
			return nil, fmt.Errorf("argument %d: %w", i+1, err)
		}
		if !is {
			continue
		}
		if &converted[0] == &args[0] {
			converted = slices.Clone(args)
		}
		converted[i] = own
	}
	return converted, nil
}

// liteArg is an argument as it is stored, if that is not as it is. One that has code of its own runs it here: database/sql runs
// it under a lock, which a panic leaves locked, and the rollback would wait for it for ever.
func liteArg(arg any) (own any, is bool, err error) {
	theirs, is := arg.(driver.Valuer)
	if !is {
		own, is = liteText(arg)
		return own, is, nil
	}
	if own, err = driver.DefaultParameterConverter.ConvertValue(theirs); err != nil {
		return nil, false, err
	}
	if text, is := liteText(own); is {
		own = text
	}
	return own, true, nil
}

// liteText is a time as it is stored; a nil pointer is NULL.
func liteText(arg any) (text any, is bool) {
	switch v := arg.(type) {
	case time.Time:
		return v.UTC().Format(liteTime), true
	case *time.Time:
		if v == nil {
			return nil, true
		}
		return v.UTC().Format(liteTime), true
	}
	return nil, false
}

// liteRows read under the limit of their statement.
type liteRows struct {
	*sql.Rows
	c       *liteConn
	limited context.Context
	done    context.CancelFunc
	closed  bool
	err     error // as it was then
}

// Close ends the rows; Err tells what went wrong.
func (r *liteRows) Close() {
	if r.closed {
		return
	}
	_ = r.Rows.Close()
	r.err, r.closed = r.Err(), true
	r.done()
}

// Err names the limit if that was the reason. Of rows that are closed database/sql is not asked: it may take the end of their
// context, which only comes behind them, for what has ended them.
func (r *liteRows) Err() error {
	if r.closed {
		return r.err
	}
	return r.c.overdue(r.limited, r.Rows.Err())
}

// Scan also reads times from what SQLite calls text: the result of an expression has no declared type.
func (r *liteRows) Scan(dest ...any) error {
	own := make([]any, len(dest)) // the caller may use his again
	for i, d := range dest {
		switch v := d.(type) {
		case *time.Time:
			own[i] = timeScanner{one: v}
		case **time.Time:
			own[i] = timeScanner{maybe: v}
		case sql.Scanner:
			own[i] = new(any)
		default:
			own[i] = d
		}
	}
	if err := r.Rows.Scan(own...); err != nil {
		return err
	}
	return handOver(own, dest)
}

// handOver lets those read that have code of their own. While database/sql reads it holds a lock, which a panic leaves locked,
// and Close would wait for it for ever.
func handOver(own, dest []any) error {
	for i, d := range dest {
		if theirs, ok := d.(sql.Scanner); ok {
			if err := theirs.Scan(*own[i].(*any)); err != nil {
				return fmt.Errorf("column %d: %w", i+1, err)
			}
		}
	}
	return nil
}

// timeScanner reads into a time, or into a pointer that NULL leaves nil.
type timeScanner struct {
	one   *time.Time
	maybe **time.Time
}

// Scan is sql.Scanner.
func (s timeScanner) Scan(value any) error {
	if value == nil && s.maybe != nil {
		*s.maybe = nil
		return nil
	}
	at, err := readTime(value)
	if err != nil {
		return err
	}
	if s.maybe != nil {
		*s.maybe = &at
	} else {
		*s.one = at
	}
	return nil
}

// timeForms are ours, and those of River and of CURRENT_TIMESTAMP.
var timeForms = []string{"2006-01-02 15:04:05.999999999-07:00", "2006-01-02 15:04:05.999999999", time.RFC3339Nano}

func readTime(value any) (time.Time, error) {
	switch v := value.(type) {
	case time.Time:
		return v.UTC(), nil
	case string:
		for _, form := range timeForms {
			if at, err := time.Parse(form, v); err == nil {
				return at.UTC(), nil
			}
		}
	}
	return time.Time{}, fmt.Errorf("a %T is not a time, want %s", value, liteTime)
}
