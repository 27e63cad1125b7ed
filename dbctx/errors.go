package dbctx

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"
)

// Errors that callers act on. They come wrapped with what happened.
var (
	ErrURL           = errors.New("the database URL cannot be used")            // a mistake in the settings: mend it
	ErrUnreachable   = errors.New("the database cannot be reached")             // away, or it does not let us in
	ErrAlreadyDone   = errors.New("done already")                               // the key of Once was there: nothing is left to do
	ErrNoRows        = errors.New("no rows")                                    // QueryRow found none; does not fail the scope
	ErrTxDone        = errors.New("the scope has ended, its Tx cannot be used") // a Tx, or its context, was kept beyond its scope
	ErrNoConnection  = errors.New("no connection became free in time")          // the pool is exhausted: shorter scopes, or a larger pool
	ErrCommitUnknown = errors.New("the connection was lost during the commit, it may or may not have happened")
)

// awayCodes are answers of a server that cannot serve now but may soon: shutting down, starting up, in recovery, too many
// connections, a standby that does not take writes.
var awayCodes = []string{"57P01", "57P02", "57P03", "53300", "25006"}

// IsUnavailable says that the database is away, full, or does not let us in, so that trying later makes sense: answer
// 503, or back off.
func IsUnavailable(err error) bool {
	if errors.Is(err, ErrUnreachable) || errors.Is(err, ErrNoConnection) || errors.Is(err, ErrCommitUnknown) {
		return true
	}
	if errors.Is(err, context.Canceled) {
		return false
	}
	var connect *pgconn.ConnectError
	var pg *pgconn.PgError
	var network *net.OpError
	var lite *sqlite.Error
	switch {
	case errors.As(err, &connect):
		return true
	case errors.As(err, &pg):
		return strings.HasPrefix(pg.Code, "08") || slices.Contains(awayCodes, pg.Code)
	case errors.As(err, &network), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		return true
	case errors.As(err, &lite):
		return slices.Contains([]int{lib.SQLITE_BUSY, lib.SQLITE_FULL, lib.SQLITE_CANTOPEN, lib.SQLITE_IOERR}, lite.Code()&0xff)
	}
	return false
}

// IsUniqueViolation says that a row was refused because its key is taken.
func IsUniqueViolation(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code == "23505"
	}
	var lite *sqlite.Error
	return errors.As(err, &lite) &&
		(lite.Code() == lib.SQLITE_CONSTRAINT_UNIQUE || lite.Code() == lib.SQLITE_CONSTRAINT_PRIMARYKEY)
}
