package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"
)

// interrupts are the signals by which people and supervisors end the program. The first asks it to end well. A command
// that drains gets the second as well, through atOnce, and ends at once without losing anything; whatever follows, and
// the second in any other command, is the system's and kills.
type interrupts struct {
	drains  atomic.Bool
	atOnce  context.Context
	arrived chan os.Signal
}

type interruptsKey struct{}

// interruptible ends with the first signal.
func interruptible() context.Context {
	ctx, end := context.WithCancel(context.Background())
	atOnce, endAtOnce := context.WithCancel(context.Background())
	i := &interrupts{atOnce: atOnce, arrived: make(chan os.Signal, 2)}
	signal.Notify(i.arrived, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-i.arrived
		if i.drains.Load() {
			end()
			<-i.arrived
			endAtOnce()
		}
		signal.Reset(os.Interrupt, syscall.SIGTERM)
		end()
	}()
	return context.WithValue(ctx, interruptsKey{}, i)
}

// atOnce ends with the second signal. Commands that drain ask for it before they begin.
func atOnce(ctx context.Context) context.Context {
	i, ok := ctx.Value(interruptsKey{}).(*interrupts)
	if !ok {
		return context.Background()
	}
	i.drains.Store(true)
	return i.atOnce
}

// unlessAsked takes the error for none if the process was asked to end before it was ready: it had begun nothing.
func unlessAsked(ctx context.Context, err error) error {
	if ctx.Err() != nil && atOnce(ctx).Err() == nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// closeSoon closes the connections of a process that is about to end. A job or a request that never ends keeps its own;
// that must not keep the process.
func closeSoon(end func()) {
	done := make(chan struct{})
	go func() { end(); close(done) }()
	select {
	case <-done:
	case <-time.After(time.Second):
	}
}
