package dbctx

import (
	"context"
	"sync/atomic"
	"time"
)

// gate lets as many scopes through as there are connections for them, in turn. What stands behind it never waits for a
// connection itself.
type gate struct {
	slots  chan struct{}
	limit  time.Duration
	waits  atomic.Int64
	waited atomic.Int64 // nanoseconds
}

func newGate(slots int, limit time.Duration) *gate {
	return &gate{slots: make(chan struct{}, slots), limit: limit}
}

// enter takes a slot. It waits for one until the limit, then says ErrNoConnection, or until ctx ends. inLine is asked
// before it waits whether that makes sense.
func (g *gate) enter(ctx context.Context, inLine func() error) error {
	select {
	case g.slots <- struct{}{}:
		return nil
	default:
	}
	if err := inLine(); err != nil {
		return err
	}
	start := time.Now()
	defer func() {
		g.waits.Add(1)
		g.waited.Add(int64(time.Since(start)))
	}()
	enough := time.NewTimer(g.limit)
	defer enough.Stop()
	select {
	case g.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return whyEnded(ctx)
	case <-enough.C:
		return ErrNoConnection
	}
}

func (g *gate) leave() { <-g.slots }
