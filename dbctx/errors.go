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

// Errors that callers act on, each with its cure. They come wrapped with what happened.
var (
	// ErrURL is a mistake in the settings. Mend the URL.
	ErrURL = errors.New("the database URL cannot be used")
	// ErrUnreachable: the database is away, or it does not let us in. The text says which; see IsUnavailable.
	ErrUnreachable = errors.New("the database cannot be reached")
	// ErrAlreadyDone: the key of Once was there. Nothing is left to do.
	ErrAlreadyDone = errors.New("done already")
	// ErrNoRows: QueryRow found none. It does not fail the scope.
	ErrNoRows = errors.New("no rows")
	// ErrNoConnection: all connections were taken for as long as Pool.Wait. Look at the scope that the text names, make
	// scopes shorter, or the pool larger.
	ErrNoConnection = errors.New("no connection")
	// ErrCommitUnknown: the wire was lost during COMMIT, and there was no key of Once to ask for. Look whether the change is
	// there before you repeat it, or give the scope a key.
	ErrCommitUnknown = errors.New("the connection was lost during the commit, it may or may not have happened")
	// ErrTimeout: a limit of the option Timeout was reached. Make the statement faster, or the limit longer.
	ErrTimeout = errors.New("the scope was stopped at its limit")
	// ErrOutermost: a nested Run asked for what only a whole transaction can have. Give the option to the outermost Run.
	ErrOutermost = errors.New("a nested scope can neither raise the isolation nor have a limit of its own")

	// ErrTxDone: a Tx, or its context, was kept beyond its scope. Use the Tx that fn is called with, while it runs.
	ErrTxDone = errors.New("the scope has ended, its Tx cannot be used")
	// ErrOtherGoroutine: a Tx, or its context, was used by a goroutine that fn started. Give that goroutine a context from
	// outside, so that its Run opens a scope of its own, or do the work in turn.
	ErrOtherGoroutine = errors.New("a scope belongs to the goroutine that opened it")
	// ErrCallInScope: a request was made inside a scope. Call before or after it.
	ErrCallInScope = errors.New("no calls to other systems while a scope is open")
	// ErrScopeInScope: Run was called inside a scope without its context, and would wait for the connection that the outer one
	// holds. Pass the context of fn on.
	ErrScopeInScope = errors.New("this goroutine has a scope open already: pass its context on")
)

// awayCodes are answers of a server that cannot serve now but may soon: shutting down, starting up, in recovery, a full disk, too
// many connections, a standby that does not take writes; and of one that gave up a scope whose process was stopped.
var awayCodes = []string{"57P01", "57P02", "57P03", "53100", "53300", "25006", idleTimeout}

// IsUnavailable says that the database is away, full, or does not let us in, so that trying later makes sense: answer
// 503, or back off.
func IsUnavailable(err error) bool {
	if errors.Is(err, ErrUnreachable) || errors.Is(err, ErrNoConnection) || errors.Is(err, ErrCommitUnknown) {
		return true
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, ErrTimeout) {
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
	case errors.As(err, &network), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed), errors.Is(err, pgconn.ErrConnClosed):
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

// isVictim says that the database ended a scope in favour of others, so that it may well succeed when it runs again.
func isVictim(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code == "40001" || pg.Code == "40P01"
	}
	var lite *sqlite.Error
	return errors.As(err, &lite) && lite.Code()&0xff == lib.SQLITE_BUSY
}
