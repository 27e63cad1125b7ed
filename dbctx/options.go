package dbctx

import (
	"errors"
	"time"
)

// Option changes how one scope is run.
type Option func(options) options

type options struct {
	once     string // "" none
	readOnly bool
	vital    bool
	level    Level
	timeout  time.Duration // 0 none
	retries  int
}

// Once makes the scope a thing that happens one time: the key is written to table done_keys right behind
// BEGIN, and a second scope with the same key ends with ErrAlreadyDone and changes nothing. Of two at once, the
// second waits for the first. The key is written only if the scope commits. "" is no key.
//
// On a nested Run the key belongs to its savepoint.
func Once(key string) Option {
	return func(o options) options { o.once = key; return o }
}

// ReadOnly promises not to write; a write is refused. On SQLite the scope does not wait for writers, nor they for it. On
// a nested Run it has no effect, and it cannot be combined with Once.
func ReadOnly() Option { return readOnly }

func readOnly(o options) options { o.readOnly = true; return o }

// Vital takes one of the connections of Pool.Reserve, so that the scope does not wait behind those that wait for one. There is
// one such scope at a time: it is for a sign of life, which matters most when everybody waits. On SQLite, where all that
// write stand in one line, it has no effect. On a nested Run it has none either.
func Vital() Option { return vital }

func vital(o options) options { o.vital = true; return o }

// Level is how much a scope sees of what others commit meanwhile. The zero value leaves it to the database, which is
// ReadCommitted on PostgreSQL unless somebody set it otherwise. SQLite is always Serializable.
type Level int

// The levels of the SQL standard that PostgreSQL tells apart.
const (
	ReadCommitted  Level = 1 + iota // each statement sees what was committed before it
	RepeatableRead                  // all statements see what was committed before the first
	Serializable                    // as if scopes ran one after the other; needs Retry
)

// Isolation sets the level of the scope. From RepeatableRead on, a scope that cannot be fitted between the others fails
// with SQLSTATE 40001: combine it with Retry. A nested Run cannot raise the level and says ErrOutermost.
func Isolation(level Level) Option {
	return func(o options) options { o.level = level; return o }
}

// Timeout limits three things to d at once: how long one statement runs, how long it waits for a lock, and how long the
// scope does nothing between two statements. Beyond it the scope fails with ErrTimeout and is rolled back; by the server
// itself on PostgreSQL, so it holds even if this process hangs. It is no limit to the whole, that is a deadline of ctx; and
// the wait for a connection has its own, Pool.Wait. PostgreSQL counts milliseconds; less than one is one.
//
// A nested Run cannot have one and says ErrOutermost.
func Timeout(d time.Duration) Option {
	return func(o options) options { o.timeout = max(d, time.Millisecond); return o }
}

// Retry runs the scope again, at most n times, when the database chose it as the victim of a conflict: serialization
// failure (40001), deadlock (40P01), SQLite busy. In between it waits, twice as long each time from about 10 ms on, at
// random so that the two that met do not meet again. fn must be able to run again: what it changed outside the database is
// its own to take back. A nested Run is never repeated by itself, only with the outermost one.
func Retry(n int) Option {
	return func(o options) options { o.retries = max(n, 0); return o }
}

// collect applies options. Those that contradict each other are an error.
func collect(given []Option) (o options, err error) {
	for _, set := range given {
		o = set(o)
	}
	if o.once != "" && o.readOnly {
		return o, errors.New("a read-only scope cannot keep the key of Once; drop one of the two")
	}
	return o, nil
}

// Keep commits the scope although it failed: Run returns err, and what the scope wrote stands. It is for work that must
// remember something about its failure, such as a snooze. The key of Once is not kept, so the work can be done later.
// Hooks run. On a nested Run it keeps the savepoint, and the outer scope sees a plain error.
//
// A statement that failed outweighs it: such a scope cannot commit. Keep(nil) is nil.
func Keep(err error) error {
	if err == nil {
		return nil
	}
	return &kept{err}
}

type kept struct{ err error }

// Error is that of the error inside.
func (k *kept) Error() string { return k.err.Error() }

// Unwrap gives the error inside.
func (k *kept) Unwrap() error { return k.err }

// spent is an error whose Keep has been honoured, so that it means nothing to an outer scope it is passed on to.
type spent struct{ err error }

// Error is that of the error inside.
func (e *spent) Error() string { return e.err.Error() }

// Is asks the error inside.
func (e *spent) Is(target error) bool { return errors.Is(e.err, target) }

// As asks the error inside for everything but the Keep.
func (e *spent) As(target any) bool {
	if _, ok := target.(**kept); ok {
		return false
	}
	return errors.As(e.err, target)
}

// keeps says whether err asks for a commit, and gives it back without that wish.
func keeps(err error) (bool, error) {
	var k *kept
	switch {
	case !errors.As(err, &k):
		return false, err
	case err == error(k):
		return true, k.err
	}
	return true, &spent{err}
}
