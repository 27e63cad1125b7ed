package jobs

import (
	"container/heap"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/schema"
)

// sleeper is a delivery that comes at a time.
type sleeper struct{ at, place int64 }

type sleepers []sleeper

func (s sleepers) Len() int           { return len(s) }
func (s sleepers) Less(i, j int) bool { return s[i].at < s[j].at }
func (s sleepers) Swap(i, j int)      { s[i], s[j] = s[j], s[i] }
func (s *sleepers) Push(x any)        { *s = append(*s, x.(sleeper)) }
func (s *sleepers) Pop() any {
	last := (*s)[len(*s)-1]
	*s = (*s)[:len(*s)-1]
	return last
}

// All deliveries come at once, and are woken late, by up to that long; some of them fifty times as late.
func TestARateIsNeverExceededAndNeverWasted(t *testing.T) {
	for _, c := range []struct {
		rate float64
		late time.Duration
	}{{0.5, 0}, {1, 200 * time.Millisecond}, {7, 200 * time.Millisecond}, {50, 0}, {50, 200 * time.Millisecond}, {300, time.Second}} {
		t.Run(fmt.Sprint(c.rate, c.late), func(t *testing.T) {
			t.Parallel()
			const n = 500
			to := schema.Destination{Rate: c.rate}
			start := int64(1_700_000_000 * second)
			coming := make(sleepers, n)
			for i := range coming {
				coming[i].at = start
			}
			var traffic schema.Traffic
			var calls []int64
			asked := 0
			for len(coming) > 0 {
				one := heap.Pop(&coming).(sleeper)
				traffic.Now = one.at
				asked++
				turn := decideTurn(to, traffic, one.place)
				traffic = turn.traffic
				if turn.place == 0 {
					calls = append(calls, one.at)
					continue
				}
				late := int64(0)
				if c.late > 0 {
					if late = rand.Int64N(c.late.Microseconds()); rand.N(20) == 0 {
						late *= 50
					}
				}
				heap.Push(&coming, sleeper{turn.place + late, turn.place})
			}
			burst := max(1.5, c.rate)
			for i := range calls {
				for j := i; j < len(calls); j += 1 + len(calls)/100 {
					if most := c.rate*float64(calls[j]-calls[i])/float64(second) + burst + 0.01; float64(j-i+1) > most {
						t.Fatalf("%d calls in %d us, want at most %.1f", j-i+1, calls[j]-calls[i], most)
					}
				}
			}
			took, least := float64(calls[n-1]-start)/float64(second), (n-burst)/c.rate
			if slack := 1.3*least + 60*c.late.Seconds() + 1; took > slack {
				t.Errorf("all were called after %.1f s, want about %.1f", took, least)
			}
			if asked > 4*n {
				t.Errorf("%d calls were asked for %d times", n, asked)
			}
		})
	}
}

func TestASleepIsReckonedFromTheClockOfThisHost(t *testing.T) {
	place := time.Date(2026, 3, 2, 9, 30, 0, 0, time.UTC)
	for before, want := range map[time.Duration]time.Duration{
		2 * time.Second: 2 * time.Second, time.Minute: 55 * time.Second, -time.Second: time.Millisecond,
	} {
		if got := untilPlace(place.UnixMicro(), place.Add(-before)); got != want {
			t.Errorf("%s before its place a delivery sleeps %s, want %s", before, got, want)
		}
	}
}

// meter is a receiver that knows how many calls it has at once, and when each came.
type meter struct {
	*listener
	mu         sync.Mutex
	times      []time.Time
	now, worst int
}

func newMeter(t *testing.T, hold time.Duration) *meter {
	m := &meter{}
	m.listener = listen(t, func(_ string, _ http.ResponseWriter, r *http.Request) {
		m.mu.Lock()
		m.times = append(m.times, time.Now())
		m.now++
		m.worst = max(m.worst, m.now)
		m.mu.Unlock()
		select {
		case <-time.After(hold):
		case <-r.Context().Done():
		}
		m.mu.Lock()
		m.now--
		m.mu.Unlock()
	})
	return m
}

func TestTheConcurrencyOfADestinationHoldsForTheWholeFleet(t *testing.T) {
	deliveryDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		d := newDepot(t, db)
		m := newMeter(t, 20*time.Millisecond)
		to := d.destination(schema.Destination{URL: m.URL, Concurrency: 2})
		d.plan(to, 40, 1)
		d.start(d.q)
		d.start(d.process())
		await(t, func() bool { return d.open(to) == 0 })
		if n := len(m.got()); m.worst > 2 || n != 40 {
			t.Errorf("%d calls, up to %d at once; want 40, no more than 2", n, m.worst)
		}
		if n := d.count(`SELECT max(tries) FROM deliveries`); n != 1 {
			t.Errorf("a delivery that was put off counts %d tries", n)
		}
	})
}

func TestTheRateOfADestinationHoldsForTheWholeFleet(t *testing.T) {
	deliveryDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		d := newDepot(t, db)
		m := newMeter(t, 0)
		const rate, n = 10, 40
		to := d.destination(schema.Destination{URL: m.URL, Rate: rate})
		d.plan(to, n, 1)
		d.start(d.q)
		d.start(d.process())
		await(t, func() bool { return d.open(to) == 0 })
		slices.SortFunc(m.times, time.Time.Compare)
		const late = 1.0 // seconds that a call may take from its turn to the receiver's clock, on a slow machine
		for i := range m.times {
			for j := i; j < len(m.times); j++ {
				if w := m.times[j].Sub(m.times[i]).Seconds(); float64(j-i+1) > rate*(w+late)+rate {
					t.Fatalf("%d calls in %.2f s at a rate of %d", j-i+1, w, rate)
				}
			}
		}
		if got := len(m.got()); got != n {
			t.Errorf("%d calls, want %d", got, n)
		}
	})
}

// Both calls were cut off by a crash and still count. Neither may wait for the other, nor for a third that nobody works.
func TestCallsThatCrashedDoNotWaitForEachOther(t *testing.T) {
	deliveryDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		d := newDepot(t, db)
		l := listen(t, func(string, http.ResponseWriter, *http.Request) {})
		to := d.destination(schema.Destination{URL: l.URL, Concurrency: 3})
		var ids []int64
		for range 3 {
			ids = append(ids, d.plan(to, 1, 1)...)
			d.take(ids[len(ids)-1])
		}
		abandoned := d.delivery(ids[2]).JobID
		d.run(func(ctx context.Context, tx *dbctx.Tx) error {
			tx.Queue(`DELETE FROM river_job WHERE id = $1`, abandoned)
			tx.Queue(`UPDATE deliveries SET updated_at = $2 WHERE id = $1`, ids[2], time.Now().UTC().Add(-2*time.Hour))
			return schema.LimitDestination(ctx, tx, to.Name, 0, 1)
		})
		fresh := d.plan(to, 1, 1)[0]
		d.start(d.q)
		await(t, d.is(schema.DeliveryDone, ids[0], ids[1], fresh))
	})
}
