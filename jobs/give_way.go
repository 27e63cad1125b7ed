package jobs

import (
	"context"
	"sync/atomic"
	"time"
)

// giveWay lets files give way to people: while leads come in one by one, a process works one job of the bulk queue at a time,
// or stores one chunk of a file.
// A chunk of rows takes a processor here and one of the database in turn; two of them would take both, and a lead from the web
// waited at each of its steps until one is free.
type giveWay struct {
	live  atomic.Int64  // when a job of the live queue was last begun here, in nanoseconds since 1970
	alone chan struct{} // holds the one of the bulk queue that may go on
}

func newGiveWay() *giveWay { return &giveWay{alone: make(chan struct{}, 1)} }

// calm is how long after the last lead from the web files have all processors again.
const calm = 2 * time.Second

// enter waits until a job of that queue may go on; call what it returns when the job has ended. The error is that of ctx.
func (g *giveWay) enter(ctx context.Context, queue string) (leave func(), err error) {
	switch {
	case queue == Live:
		g.live.Store(time.Now().UnixNano())
	case queue == Bulk && time.Since(time.Unix(0, g.live.Load())) < calm:
		select {
		case g.alone <- struct{}{}:
			return func() { <-g.alone }, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return func() {}, nil
}
