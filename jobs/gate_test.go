package jobs

import (
	"container/heap"
	"context"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/schema"
)

// Ten thousand deliveries wait for a destination that hangs: each of its calls takes 20 s. The clock is made up, so an hour
// passes at once.
func TestHoweverManyWaitForASlowDestinationLittleIsPutOff(t *testing.T) {
	t.Parallel()
	const n, places, takes = 10_000, 25, 20 * time.Second
	clock := time.Unix(1_700_000_000, 0)
	begin := clock
	g := newGate(places, newBreaker(breakerOpenFor), func() time.Time { return clock })
	var coming sleepers
	for range n {
		coming = append(coming, sleeper{at: 0})
	}
	passes := map[int64]*pass{}
	perSecond, first, called := map[int64]int{}, 0, 0
	putOff := func(at int64, wait time.Duration) {
		if at > int64(time.Minute) { // by then the gate has learned for long that it is slow
			perSecond[at/int64(time.Second)]++
		} else {
			first++
		}
		heap.Push(&coming, sleeper{at: at + int64(wait)})
	}
	for len(coming) > 0 && clock.Sub(begin) < time.Hour {
		one := heap.Pop(&coming).(sleeper)
		clock = begin.Add(time.Duration(one.at))
		p, wait := passes[one.place], time.Duration(0)
		switch {
		case p == nil:
			if p, wait = g.ask(); p == nil {
				putOff(one.at, wait)
				continue
			}
			id := int64(len(passes) + 1)
			passes[id] = p
			if p.begun < 0 { // it waits where it stands
				heap.Push(&coming, sleeper{at: one.at + int64(patience), place: id})
				continue
			}
			called++
			heap.Push(&coming, sleeper{at: one.at + int64(takes), place: id})
		case p.begun < 0: // in vain
			g.waiting = slices.DeleteFunc(g.waiting, func(w *pass) bool { return w == p })
			putOff(one.at, g.putOff())
		case clock.Sub(begin)-p.begun < takes: // its turn came meanwhile
			called++
			heap.Push(&coming, sleeper{at: int64(p.begun + takes), place: one.place})
		default:
			p.free(takes)
		}
	}
	worst := 0
	for _, k := range perSecond {
		worst = max(worst, k)
	}
	if worst > 60 || first > 3*n {
		t.Errorf("up to %d were put off in a second, and %d in the first minute; want no more than 60, and about %d", worst, first, n)
	}
	if want := places * int(time.Hour/takes) * 9 / 10; called < want {
		t.Errorf("%d calls in an hour, want at least %d: places must not lie idle", called, want)
	}
}

func TestASlowDestinationDoesNotSlowTheOthers(t *testing.T) {
	deliveryDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		d := newDepot(t, db)
		d.q.caller = newCaller(5 * time.Minute)
		release := make(chan struct{})
		slow := listen(t, func(_ string, _ http.ResponseWriter, r *http.Request) {
			select {
			case <-release:
			case <-r.Context().Done():
			}
		})
		fast := listen(t, func(string, http.ResponseWriter, *http.Request) {})
		hangs := d.destination(schema.Destination{Name: "hangs", URL: slow.URL})
		answers := d.destination(schema.Destination{Name: "answers", URL: fast.URL})
		d.plan(hangs, 300, 1)
		d.plan(answers, 200, 1)
		began := time.Now()
		d.start(d.q)
		await(t, func() bool { return d.open(answers) == 0 })
		took := time.Since(began)
		if n, most := len(slow.got()), d.q.gates.places; n > most {
			t.Errorf("%d calls hang at once, want no more than %d", n, most)
		}
		if n := d.open(hangs); n != 300 {
			t.Errorf("%d deliveries are open at the destination that hangs, want all 300", n)
		}
		if n := d.count(`SELECT max(tries) FROM deliveries`); n != 1 {
			t.Errorf("a delivery that was put off counts %d tries", n)
		}
		snoozes := d.snoozes()
		if most := 3*300 + int64(took.Seconds()*60); snoozes > most {
			t.Errorf("%d times a delivery was put off in %s, want at most %d", snoozes, took, most)
		}
		close(release)
	})
}

// snoozes counts how often jobs were put off.
func (d *depot) snoozes() int64 {
	if d.db.Dialect() == dbctx.SQLite {
		return d.count(`SELECT coalesce(sum(json_extract(metadata, '$.snoozes')), 0) FROM river_job`)
	}
	return d.count(`SELECT coalesce(sum((metadata ->> 'snoozes')::bigint), 0) FROM river_job`)
}

func TestADestinationThatIsDownIsLeftAloneAndNobodyLosesATry(t *testing.T) {
	deliveryDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		d := newDepot(t, db)
		d.q.gates.openFor = 2 * time.Second
		var down atomic.Bool
		down.Store(true)
		l := listen(t, func(_ string, w http.ResponseWriter, _ *http.Request) {
			if down.Load() {
				w.WriteHeader(http.StatusInternalServerError)
			}
		})
		to := d.destination(schema.Destination{URL: l.URL})
		const n = 120
		d.plan(to, n, 1)
		d.start(d.q)
		gate := d.q.gates.of(to.ID)
		await(t, gate.breaker.open)
		await(t, func() bool { return d.count(`SELECT count(*) FROM deliveries WHERE state = 'calling'`) == 0 })
		called := len(l.got())
		if most := breakerOpensAfter + d.q.gates.places; called > most {
			t.Errorf("%d calls until the breaker opened, want no more than %d", called, most)
		}
		down.Store(false)
		await(t, func() bool { return d.open(to) == 0 })
		if tries := d.count(`SELECT sum(tries) FROM deliveries`); tries != int64(len(l.got())) || tries > n+int64(called)+10 {
			t.Errorf("%d tries after %d calls, want one for each delivery and for each call that failed", tries, len(l.got()))
		}
	})
}

func TestWhoHasWaitedInVainGetsNoPassLater(t *testing.T) {
	t.Parallel()
	g := newGate(1, newBreaker(breakerOpenFor), time.Now)
	first, _, err := g.enter(context.Background())
	if err != nil || first == nil {
		t.Fatalf("an empty gate gave %v, %v", first, err)
	}
	ended, end := context.WithCancel(context.Background())
	end()
	if p, _, err := g.enter(ended); p != nil || err == nil {
		t.Errorf("who is not there any more got %v, %v", p, err)
	}
	if p, wait, err := g.enter(context.Background()); p != nil || wait <= 0 || err != nil {
		t.Errorf("who waited in vain got %v, to come in %s, %v", p, wait, err)
	}
	first.leave(0, answer{})
	if p, _, _ := g.enter(context.Background()); p == nil || g.running != 1 || len(g.waiting) != 0 {
		t.Errorf("behind it the gate has %d running and %d waiting, want the one place given", g.running, len(g.waiting))
	}
}
