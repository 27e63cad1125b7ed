package dbctx

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"
)

// liteTime is how times are stored in SQLite: of one width, in UTC and in microseconds as PostgreSQL keeps them, so that
// they compare as text.
const liteTime = "2006-01-02 15:04:05.000000+00:00"

// liteArgs writes times in that form and leaves the rest to the driver. The caller's slice stays as it is.
func liteArgs(args []any) []any {
	converted := args
	for i, arg := range args {
		text, is := liteText(arg)
		if !is {
			continue
		}
		if &converted[0] == &args[0] {
			converted = slices.Clone(args)
		}
		converted[i] = text
	}
	return converted
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
}

// Close ends the rows; Err tells what went wrong.
func (r *liteRows) Close() {
	_ = r.Rows.Close()
	r.done()
}

// Err names the limit if that was the reason.
func (r *liteRows) Err() error { return r.c.overdue(r.limited, r.Rows.Err()) }

// Scan also reads times from what SQLite calls text: the result of an expression has no declared type.
func (r *liteRows) Scan(dest ...any) error {
	own := make([]any, len(dest)) // the caller may use his again
	for i, d := range dest {
		switch v := d.(type) {
		case *time.Time:
			own[i] = timeScanner{one: v}
		case **time.Time:
			own[i] = timeScanner{maybe: v}
		default:
			own[i] = d
		}
	}
	return r.Rows.Scan(own...)
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
