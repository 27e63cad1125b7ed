package web

import (
	"fmt"
	"testing"
	"time"
)

func TestLimiter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	l := newLimiter(3, time.Minute, 100)
	for i := range 3 {
		if wait := l.take("a", now); wait != 0 {
			t.Fatalf("try %d waits %s", i+1, wait)
		}
	}
	if wait := l.take("a", now); wait != time.Minute {
		t.Errorf("try 4 waits %s, want a minute", wait)
	}
	if wait := l.take("a", now.Add(45*time.Second)); wait != 15*time.Second {
		t.Errorf("try 4 after 45 s waits %s, want 15 s more", wait)
	}
	if wait := l.take("b", now); wait != 0 {
		t.Errorf("another key waits %s", wait)
	}
	l.giveBack("a", now)
	if wait := l.take("a", now); wait != 0 {
		t.Errorf("a try that was given back waits %s", wait)
	}
	if wait := l.take("a", now.Add(time.Minute)); wait != 0 {
		t.Errorf("after a minute a try waits %s", wait)
	}
}

func TestLimiterIsBounded(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	l := newLimiter(2, time.Minute, 10)
	l.take("target", now)
	l.take("target", now)
	for i := range 1000 {
		l.take(fmt.Sprint(i), now)
	}
	if len(l.keys) > 10 {
		t.Errorf("%d keys are kept, want at most 10", len(l.keys))
	}
	if l.take("target", now) == 0 {
		t.Error("a flood of other keys frees one that has no try left")
	}
	l.take("later", now.Add(time.Hour))
	if len(l.keys) != 1 {
		t.Errorf("%d keys are kept after all have their tries again, want the new one", len(l.keys))
	}
}
