// Package schema is the archive: the tables, their migrations and the only SQL of the program.
//
// There is one file per table and one function per question. A function takes the open scope, returns
// domain values, and wraps [ErrNotFound] or [ErrExists] where a caller acts on it. Functions without an
// error result queue their write: it leaves with the next round trip of the scope, at the latest with
// COMMIT, and its failure fails the scope.
package schema

import "errors"

// Errors that callers act on. They come wrapped with what was looked for.
var (
	ErrNotFound  = errors.New("not found")
	ErrExists    = errors.New("exists already")
	ErrKeyReused = errors.New("the idempotency key was used with another body")
)
