package jobs

import (
	"context"
	"time"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/schema"
)

// The limits of a destination hold over the whole fleet, so they are kept in its row and count by the database's clock.
//
// The rate is GCRA (the leaky bucket as a meter): each call moves called_until on by one interval, and a call is allowed if
// called_until is not too far ahead: a second less one interval, at least half an interval up to half a second. So there are
// never more than rate*t + max(rate, 1.5) calls in t seconds.
//
// Who may not call yet takes a place in a line whose places are one interval apart, and sleeps until then: however many wait,
// each comes back once. The place is written down, since sleepers come late and in bunches: it says when to ask, and only the
// meter says yes.

const second = int64(time.Second / time.Microsecond)

// awaitTurn lets a locked delivery pass if the limits of its destination allow a call now. Otherwise it returns when to ask
// again, as an error that ends the scope.
func awaitTurn(ctx context.Context, s *Scope, v schema.Candidate) error {
	now, err := schema.LockTraffic(ctx, s.Tx, v.To.ID, v.ID)
	if err != nil {
		return err
	}
	if v.State == schema.DeliveryCalling {
		now.Calling = 0 // it has its place among them since the try that crashed
	}
	gate := s.q.gates.of(v.To.ID)
	gate.learn(v.To.Concurrency)
	turn := decideTurn(v.To, now, v.Place)
	if turn.full {
		return again{gate.putOff()}
	}
	if turn.traffic != now {
		schema.SaveTraffic(s.Tx, v.To.ID, turn.traffic)
	}
	if turn.place == 0 {
		return nil
	}
	if turn.place != v.Place {
		schema.SavePlace(s.Tx, v.ID, turn.place)
	}
	return dbctx.Keep(again{untilPlace(turn.place, time.Now())})
}

// turn is what was decided: to call now if it is neither full nor has a place.
type turn struct {
	full    bool           // as many calls are under way as may be
	place   int64          // when to ask again; 0 means not to wait
	traffic schema.Traffic // as it is after this
}

func decideTurn(d schema.Destination, t schema.Traffic, place int64) turn {
	switch {
	case place > t.Now:
		return turn{place: place, traffic: t}
	case d.Concurrency > 0 && t.Calling >= d.Concurrency:
		return turn{full: true, traffic: t}
	case d.Rate <= 0:
		return turn{traffic: t}
	}
	interval := max(1, int64(float64(second)/d.Rate))
	ahead := max(second-interval, min(interval, second)/2) // so far the meter may run ahead of the clock
	jumpsTheLine := place == 0 && t.LineUntil > t.Now
	if t.CalledUntil-ahead <= t.Now && !jumpsTheLine {
		t.CalledUntil = max(t.CalledUntil, t.Now) + interval
		return turn{traffic: t}
	}
	place = max(t.LineUntil, t.CalledUntil-ahead, t.Now+1)
	t.LineUntil = place + interval
	return turn{place: place, traffic: t}
}

// scheduling is how late the queue may wake those who sleep for longer than that; shorter sleeps are exact to a fifth of a
// second.
const scheduling = 5 * time.Second

// untilPlace is how long to sleep. The queue adds it to the clock of this host and compares with the database's, so the
// difference between the two clocks is part of it. A long sleep ends early, for a short and exact one.
func untilPlace(place int64, host time.Time) time.Duration {
	wait := time.UnixMicro(place).Sub(host)
	if wait > scheduling {
		wait -= scheduling
	}
	return max(wait, time.Millisecond)
}
