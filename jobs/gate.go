package jobs

import (
	"context"
	"slices"
	"sync"
	"time"
)

// gates has one gate for each destination that this process has called.
type gates struct {
	places  int           // at once for one destination
	openFor time.Duration // see breaker
	mu      sync.Mutex
	all     map[int64]*gate
}

func newGates(workers int) *gates {
	return &gates{places: max(1, workers/4), openFor: breakerOpenFor, all: map[int64]*gate{}}
}

func (g *gates) of(destinationID int64) *gate {
	g.mu.Lock()
	defer g.mu.Unlock()
	one := g.all[destinationID]
	if one == nil {
		one = newGate(g.places, newBreaker(g.openFor), time.Now)
		g.all[destinationID] = one
	}
	return one
}

// gate keeps one slow destination from taking all workers of a process: it lets in a share of them, and nobody while the breaker
// is open.
//
// Whoever's turn comes soon waits where it stands. Everybody else is sent back to the queue, each a step later than the one
// before. The step is what a place takes to come free, so that returning costs about as much as there is to do; but it
// is no longer than longestStep, so that a destination which was slow and is not any more is soon through with those
// who wait. So however many wait for a destination that is known to be slow, this process fetches and puts off at most fifty
// deliveries for it in a second, besides those that come for the first time.
type gate struct {
	places  int
	breaker *breaker
	now     func() time.Time
	epoch   time.Time

	mu      sync.Mutex
	limit   int           // of the destination over the whole fleet; 0 none
	running int           // passes given out
	begun   time.Duration // sum of when they were, since epoch
	mean    time.Duration // that a call takes; 0 not known
	waiting []*pass       // where they stand, first come first
	line    time.Time     // when the last that was put off comes back
}

const (
	patience     = 100 * time.Millisecond // of who waits where it stands
	shortestStep = time.Millisecond
	longestStep  = 20 * time.Millisecond
	longestLead  = 5 * time.Second // from now to the first of the line
)

func newGate(places int, b *breaker, now func() time.Time) *gate {
	return &gate{places: places, breaker: b, now: now, epoch: now()}
}

// pass is the right to make one call. It is given back by leave.
type pass struct {
	gate    *gate
	begun   time.Duration // since the gate's epoch
	turn    chan struct{} // closed when it is given to somebody who waits
	outcome func(error)   // tells the breaker
}

// enter gives a pass, or says after what time to come again.
func (g *gate) enter(ctx context.Context) (*pass, time.Duration, error) {
	p, wait := g.ask()
	if p == nil {
		return nil, wait, nil
	}
	if err := g.await(ctx, p); err != nil {
		return nil, 0, err
	}
	if p.begun < 0 {
		return nil, g.putOff(), nil
	}
	outcome, err := g.breaker.allow()
	if err != nil {
		p.free(0)
		return nil, g.putOff(), nil
	}
	p.outcome = outcome
	return p, 0, nil
}

// ask gives a pass that is good at once or that is to be waited for.
func (g *gate) ask() (*pass, time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	p := &pass{gate: g, begun: -1, turn: make(chan struct{})}
	switch soon := g.expected() / time.Duration(g.width()) * time.Duration(len(g.waiting)+1); {
	case g.breaker.open():
		return nil, g.putOffLocked()
	case g.running < g.width():
		g.admit(p)
	case soon <= patience:
		g.waiting = append(g.waiting, p)
	default:
		return nil, g.putOffLocked()
	}
	return p, 0
}

// await returns when the pass is good, or when patience has run out; then it never becomes good.
func (g *gate) await(ctx context.Context, p *pass) error {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-p.turn:
		return nil
	case <-timer.C:
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if i := slices.Index(g.waiting, p); i >= 0 {
		g.waiting = slices.Delete(g.waiting, i, i+1)
		return ctx.Err()
	}
	return nil // its turn came at the same moment
}

func (g *gate) admit(p *pass) {
	p.begun = g.now().Sub(g.epoch)
	g.running++
	g.begun += p.begun
	close(p.turn)
}

// leave gives the pass back. took is how long the call took, 0 if there was none.
func (p *pass) leave(took time.Duration, a answer) {
	p.outcome(verdictOf(took, a))
	p.free(took)
}

func (p *pass) free(took time.Duration) {
	g := p.gate
	g.mu.Lock()
	defer g.mu.Unlock()
	g.running--
	g.begun -= p.begun
	if took > 0 {
		g.learnMean(took)
	}
	for len(g.waiting) > 0 && g.running < g.width() {
		next := g.waiting[0]
		g.waiting = slices.Delete(g.waiting, 0, 1)
		g.admit(next)
	}
}

// learnMean follows what calls take, the last eight of them more or less.
func (g *gate) learnMean(took time.Duration) {
	if g.mean == 0 {
		g.mean = took
		return
	}
	g.mean += (took - g.mean) / 8
}

// learn remembers how many calls at once the destination allows, 0 for any number. More passes than that are of no use.
func (g *gate) learn(limit int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.limit = limit
}

func (g *gate) width() int {
	if g.limit > 0 {
		return min(g.places, g.limit)
	}
	return g.places
}

// expected is how long a call takes: as those before it, or as long as those under way have taken by now.
func (g *gate) expected() time.Duration {
	if g.running == 0 {
		return g.mean
	}
	return max(g.mean, g.now().Sub(g.epoch)-g.begun/time.Duration(g.running))
}

// putOff gives out the next place in the line, as the time until then.
func (g *gate) putOff() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.putOffLocked()
}

func (g *gate) putOffLocked() time.Duration {
	now, expected := g.now(), g.expected()
	step := min(max(expected/time.Duration(g.width()), shortestStep), longestStep)
	first := now.Add(min(expected/4, longestLead))
	if closes, broken := g.breaker.closes(now); broken {
		step, first = longestStep, closes
	}
	if g.line.Before(first) {
		g.line = first
	}
	g.line = g.line.Add(step)
	return g.line.Sub(now)
}
