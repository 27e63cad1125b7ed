package dbctx

import (
	"context"
	"net/http"
)

// scopeKey finds the innermost open scope in a context.
type scopeKey struct{}

// scopeContext is the context that fn is called with, or one of Bind. The former lives in its Tx, so that it costs nothing by
// itself.
type scopeContext struct {
	context.Context
	tx *Tx
}

// Value finds itself.
func (c *scopeContext) Value(key any) any {
	if key == (scopeKey{}) {
		return c
	}
	return c.Context.Value(key)
}

// Bind gives ctx the open scope of tx, so that a Run called with it is a savepoint of that scope. A test binds the
// context of the code that it tries to a transaction which it then rolls back. The code must run on the goroutine of tx.
// Hooks of a transaction that is rolled back never run.
func Bind(ctx context.Context, tx *Tx) context.Context { return &scopeContext{ctx, tx} }

// openScope is the innermost scope on db that ctx belongs to and that has not ended altogether; nil if there is none.
func openScope(ctx context.Context, db *DB) *Tx {
	for {
		c, ok := ctx.Value(scopeKey{}).(*scopeContext)
		if !ok {
			return nil
		}
		if c.tx.s.db == db && !c.tx.s.ended.Load() {
			return c.tx
		}
		ctx = c.Context // on another database, or over
	}
}

// guard says why a Tx cannot be used. What is offended is the whole scope: it rolls back, whatever becomes of the error.
func (tx *Tx) guard() error {
	if tx.ended.Load() {
		return tx.s.offend(ErrTxDone)
	}
	return tx.s.guard()
}

// guard says whether another goroutine than its own uses the session.
func (s *session) guard() error {
	if s.owner != goroutine() {
		return s.offend(ErrOtherGoroutine)
	}
	return nil
}

// offend may be called from any goroutine.
func (s *session) offend(err error) error {
	s.offence.CompareAndSwap(nil, &err)
	return err
}

// Transport wraps the transport of an http.Client, nil for http.DefaultTransport, so that a request whose context belongs to
// an open scope is refused with ErrCallInScope, and the scope rolls back. A call inside a scope holds a connection, and maybe
// locks, for as long as somebody else's server likes; and it cannot be rolled back.
func Transport(base http.RoundTripper) http.RoundTripper {
	if base == nil {
		base = http.DefaultTransport
	}
	return transport{base}
}

type transport struct{ base http.RoundTripper }

// RoundTrip refuses, or passes the request on.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	for ctx := r.Context(); ; {
		c, ok := ctx.Value(scopeKey{}).(*scopeContext)
		if !ok {
			return t.base.RoundTrip(r)
		}
		if s := c.tx.s; !s.ended.Load() {
			if r.Body != nil {
				_ = r.Body.Close() // a RoundTripper must
			}
			return nil, s.offend(ErrCallInScope)
		}
		ctx = c.Context
	}
}
