package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/schema"
)

// Exit codes. Scripts rely on them.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2 // a flag, an argument or a setting
	exitPartial     = 3 // some rows were rejected
	exitNotFound    = 4
	exitUnreachable = 5 // the database
	exitPending     = 6 // migrations
	exitInterrupted = 130
)

var (
	errUsage   = errors.New("usage")
	errPartial = errors.New("some rows were not accepted")
	errPending = errors.New("migrations are pending: run leadmill migrate up")
)

// usagef is a mistake in how the command was called.
func usagef(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

type usageError struct{ error }

// Is makes it errUsage.
func (*usageError) Is(target error) bool { return target == errUsage }

// Unwrap gives the cause.
func (u *usageError) Unwrap() error { return u.error }

// exit says what went wrong, on stderr, and returns the code for it.
func (a *app) exit(ctx context.Context, err error) int {
	if err == nil {
		return exitDone
	}
	if !a.started { // cobra found it before the command began
		err = &usageError{err}
	}
	code := exitCode(ctx, err)
	fmt.Fprintln(a.stderr, "leadmill:", err)
	if code == exitUsage {
		fmt.Fprintln(a.stderr, "leadmill --help lists the commands, leadmill COMMAND --help their flags")
	}
	return code
}

func exitCode(ctx context.Context, err error) int {
	switch {
	case errors.Is(err, errUsage), errors.Is(err, dbctx.ErrURL):
		return exitUsage
	case errors.Is(err, errPartial):
		return exitPartial
	case errors.Is(err, schema.ErrNotFound):
		return exitNotFound
	case errors.Is(err, errPending):
		return exitPending
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		return exitInterrupted
	case dbctx.IsUnavailable(err):
		return exitUnreachable
	}
	return exitFailed
}
