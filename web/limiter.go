package web

import (
	"sync"
	"time"
)

// limiter bounds how often each of many keys may try: a burst, then one more after each pause. It forgets a key that
// has its whole burst again, and never holds more than most keys.
type limiter struct {
	burst float64
	pause time.Duration // until one try is given back
	most  int

	mu   sync.Mutex
	keys map[string]bucket
}

type bucket struct {
	tries float64 // left at that time
	at    time.Time
}

func newLimiter(burst int, pause time.Duration, most int) *limiter {
	return &limiter{burst: float64(burst), pause: pause, most: most, keys: map[string]bucket{}}
}

// take uses up one try. If there is none left, wait is how long until there is.
func (l *limiter) take(key string, now time.Time) (wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	tries := l.left(key, now)
	if tries < 1 {
		return time.Duration((1 - tries) * float64(l.pause))
	}
	if _, known := l.keys[key]; !known && len(l.keys) >= l.most {
		l.makeRoom(now)
	}
	l.keys[key] = bucket{tries - 1, now}
	return 0
}

// giveBack returns a try that did not fail.
func (l *limiter) giveBack(key string, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, known := l.keys[key]; known {
		l.keys[key] = bucket{min(l.burst, l.left(key, now)+1), now}
	}
}

func (l *limiter) left(key string, now time.Time) float64 {
	b, known := l.keys[key]
	if !known {
		return l.burst
	}
	return min(l.burst, b.tries+float64(now.Sub(b.at))/float64(l.pause))
}

// makeRoom forgets the keys that have their burst again, and if there are none, the one that is nearest to it.
func (l *limiter) makeRoom(now time.Time) {
	var fullest string
	most := -1.0
	for key := range l.keys {
		tries := l.left(key, now)
		if tries >= l.burst {
			delete(l.keys, key)
		} else if tries > most {
			fullest, most = key, tries
		}
	}
	if len(l.keys) >= l.most {
		delete(l.keys, fullest)
	}
}
