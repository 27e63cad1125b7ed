package dbctx

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// LengthBounds are the upper bounds of the classes that Stats.Lengths counts scopes in.
var LengthBounds = [...]time.Duration{
	time.Millisecond, 5 * time.Millisecond, 25 * time.Millisecond, 100 * time.Millisecond, 500 * time.Millisecond,
	2500 * time.Millisecond, 10 * time.Second,
}

// scopes are the open scopes of a database in the order they began, as a list through the sessions themselves, and what is
// known of those that have ended.
type scopes struct {
	log   *slog.Logger
	limit time.Duration // longer ones are logged; 0 none

	mu          sync.Mutex
	first, last *session
	open        int
	watch       *time.Timer // runs while scopes are open
	watching    bool
	closed      bool

	lengths [len(LengthBounds) + 1]atomic.Int64
	length  atomic.Int64 // nanoseconds of all that ended
}

func (o *scopes) add(s *session) {
	s.began = time.Now()
	o.mu.Lock()
	defer o.mu.Unlock()
	s.before = o.last
	if o.last == nil {
		o.first = s
	} else {
		o.last.after = s
	}
	o.last = s
	o.open++
	o.arm()
}

func (o *scopes) remove(s *session) {
	o.mu.Lock()
	if s.before == nil {
		o.first = s.after
	} else {
		s.before.after = s.after
	}
	if s.after == nil {
		o.last = s.before
	} else {
		s.after.before = s.before
	}
	s.before, s.after = nil, nil // who still holds it, as the last rows of a connection do, must not hold all that came behind it
	o.open--
	o.mu.Unlock()
	o.count(time.Since(s.began))
}

func (o *scopes) count(length time.Duration) {
	class := 0
	for class < len(LengthBounds) && length > LengthBounds[class] {
		class++
	}
	o.lengths[class].Add(1)
	o.length.Add(int64(length))
}

// arm starts the watch. Once started it runs until it finds no scope open: arming it for each would cost more than
// the scope's share of the whole registry.
func (o *scopes) arm() {
	if o.limit <= 0 || o.watching || o.closed {
		return
	}
	o.watching = true
	if o.watch == nil {
		o.watch = time.AfterFunc(o.limit, o.look)
		return
	}
	o.watch.Reset(o.limit)
}

// look logs scopes that have held a connection for too long, each once, with who opened it.
func (o *scopes) look() {
	for _, long := range o.overlong() { // not under the lock: a logger may be slow, or ask for Stats
		o.log.Warn("a scope is open for long: it holds a connection, and the locks of what it wrote", "for", long.age, "at", long.at)
	}
}

type overlong struct {
	age time.Duration
	at  string
}

// overlong returns those that nobody was told of, and sets the watch for the next.
func (o *scopes) overlong() (found []overlong) {
	o.mu.Lock()
	defer o.mu.Unlock()
	next := o.limit
	for s := o.first; s != nil; s = s.after {
		age := time.Since(s.began)
		if age < o.limit {
			next = o.limit - age
			break
		}
		if !s.warned && s.holds.Load() {
			s.warned = true
			found = append(found, overlong{age.Round(time.Millisecond), s.at()})
		}
	}
	o.watching = o.open > 0 && !o.closed
	if o.watching {
		o.watch.Reset(next)
	}
	return found
}

func (o *scopes) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	if o.watch != nil {
		o.watch.Stop()
	}
}

// crowd says who has the places behind a gate.
func (o *scopes) crowd(g *gate) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	for s := o.first; s != nil; s = s.after {
		if s.holds.Load() && s.gate() == g {
			return fmt.Sprintf("%d scopes open, the oldest since %s at %s", o.open, s.began.UTC().Format(time.RFC3339), s.at())
		}
	}
	return fmt.Sprintf("%d scopes open", o.open)
}

// heldBy says whether a goroutine has an open scope with a place behind a gate.
func (o *scopes) heldBy(owner uintptr, g *gate) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for s := o.first; s != nil; s = s.after {
		if s.owner == owner && s.holds.Load() && s.gate() == g {
			return true
		}
	}
	return false
}

func (o *scopes) stats() (s Stats) {
	o.mu.Lock()
	s.Scopes = o.open
	if o.first != nil {
		s.Oldest = time.Since(o.first.began)
	}
	o.mu.Unlock()
	for i := range o.lengths {
		s.Lengths[i] = o.lengths[i].Load()
		s.Ended += s.Lengths[i]
	}
	s.Length = time.Duration(o.length.Load())
	return s
}

// callerOf is the place that is skip calls up from here; it is looked up in the symbols only when somebody asks.
func callerOf(skip int) uintptr {
	var pc [1]uintptr
	runtime.Callers(skip+1, pc[:])
	return pc[0]
}

// at is where the scope was opened: folder/file:line.
func (s *session) at() string {
	frame, _ := runtime.CallersFrames([]uintptr{s.caller}).Next()
	if frame.File == "" {
		return "an unknown place"
	}
	return fmt.Sprintf("%s/%s:%d", filepath.Base(filepath.Dir(frame.File)), filepath.Base(frame.File), frame.Line)
}
