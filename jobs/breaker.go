package jobs

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"
)

// Limits of the breaker.
const (
	breakerOpensAfter = 10               // failures in a row
	breakerOpenFor    = 30 * time.Second // nobody calls for that long
	breakerProbes     = 2                // then so many calls, and all must succeed
	probeWait         = time.Second      // of the others meanwhile
)

// breaker keeps this process from calling a destination that is down: its deliveries wait, without losing tries, until one
// that is let through as a probe is answered.
type breaker struct {
	circuit *gobreaker.TwoStepCircuitBreaker[struct{}]
	until   atomic.Int64 // when it last opened, plus how long it stays so; in nanoseconds since 1970
}

var (
	errDown   = errors.New("no answer, or 5xx")
	errNoCall = errors.New("nobody was called to the end")
)

func newBreaker(openFor time.Duration) *breaker {
	b := &breaker{}
	b.circuit = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		MaxRequests: breakerProbes,
		Timeout:     openFor,
		ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= breakerOpensAfter },
		IsExcluded:  func(err error) bool { return errors.Is(err, errNoCall) },
		OnStateChange: func(_ string, _, to gobreaker.State) {
			if to == gobreaker.StateOpen {
				b.until.Store(time.Now().Add(openFor).UnixNano())
			}
		},
	})
	return b
}

// allow asks to make a call; outcome is to be told how it ended.
func (b *breaker) allow() (outcome func(error), err error) { return b.circuit.Allow() }

func (b *breaker) open() bool { return b.circuit.State() == gobreaker.StateOpen }

// closes says when to come again, if it is not closed now.
func (b *breaker) closes(now time.Time) (at time.Time, broken bool) {
	switch b.circuit.State() {
	case gobreaker.StateOpen:
		return time.Unix(0, b.until.Load()), true
	case gobreaker.StateHalfOpen:
		return now.Add(probeWait), true
	}
	return time.Time{}, false
}

// verdictOf is what a call tells of the destination. One that this process broke off tells nothing.
func verdictOf(took time.Duration, a answer) error {
	switch {
	case took == 0 || a.interrupted:
		return errNoCall
	case a.status == 0 || a.status >= 500:
		return errDown
	}
	return nil
}
