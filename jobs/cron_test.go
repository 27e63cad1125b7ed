package jobs

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/dbctx/dbctxtest"
)

var cronDatabases = dbctxtest.New("cron", Migrate)

// ticked is what the schedules of these tests enqueue.
type ticked struct {
	Schedule string `json:"schedule"`
}

func (ticked) Kind() string  { return "ticked" }
func (ticked) Queue() string { return Maintenance }

var crontab = []schedule{
	{name: "all", cron: "*/20 * * * *", zone: "Europe/Berlin", missed: "all", job: func() Args { return ticked{"all"} }},
	{name: "once", cron: "*/7 * * * *", zone: "UTC", missed: "once", job: func() Args { return ticked{"once"} }},
	{name: "skip", cron: "*/5 * * * *", zone: "UTC", missed: "skip", job: func() Args { return ticked{"skip"} }},
	{name: "nightly", cron: "30 2 * * *", zone: "Europe/Berlin", missed: "once", job: func() Args { return ticked{"nightly"} }},
}

// clockwork is a fleet of queues whose leaders tick when the test says so, all by one clock.
type clockwork struct {
	t    *testing.T
	db   *dbctx.DB
	now  atomic.Int64 // unix seconds
	prev time.Time
	q    []*Queue
	want map[string]bool // "name/time", by the policies
	list []schedule
}

func newClockwork(t *testing.T, db *dbctx.DB, start time.Time) *clockwork {
	c := &clockwork{t: t, db: db, want: map[string]bool{}, prev: start, list: crontab}
	c.now.Store(start.Unix())
	for range 2 {
		q := newQueue(db, Options{Now: func() time.Time { return time.Unix(c.now.Load(), 0) }})
		q.schedules = crontab
		inScope(q, func(context.Context, *Scope, ticked) error { return nil })
		if err := q.connect(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(q.Close)
		c.q = append(c.q, q)
	}
	c.restart()
	return c
}

func (c *clockwork) restart() {
	c.t.Helper()
	for _, q := range c.q {
		if err := q.PutSchedules(c.t.Context()); err != nil {
			c.t.Fatal(err)
		}
	}
}

// tick is what each leader does at the same instant.
func (c *clockwork) tick() {
	c.t.Helper()
	var wg sync.WaitGroup
	for i, q := range c.q {
		wg.Go(func() {
			err := q.scope(c.t.Context(), Job{ID: int64(i + 1)}, func(ctx context.Context, s *Scope) error { return cronTick(ctx, s, CronTick{}) })
			if err != nil {
				c.t.Error(err)
			}
		})
	}
	wg.Wait()
}

// to moves the clock forward, ticks, and notes what the policies promise.
func (c *clockwork) to(now time.Time) {
	c.t.Helper()
	c.now.Store(now.Unix())
	c.tick()
	for _, s := range c.list {
		missed := between(c.t, s, c.prev, now)
		switch {
		case len(missed) == 0:
		case s.missed == "all":
			for _, at := range missed {
				c.want[key(s, at)] = true
			}
		case s.missed == "once" || now.Sub(missed[len(missed)-1]) <= 2*time.Minute:
			c.want[key(s, missed[len(missed)-1])] = true
		}
	}
	c.prev = now
}

func key(s schedule, at time.Time) string { return s.name + "/" + at.UTC().Format(time.RFC3339) }

// between are the ticks behind from, up to to.
func between(t *testing.T, s schedule, from, to time.Time) (ticks []time.Time) {
	t.Helper()
	parsed, err := parseCron(s.cron, s.zone)
	if err != nil {
		t.Fatal(err)
	}
	for at := parsed.Next(from); !at.After(to); at = parsed.Next(at) {
		ticks = append(ticks, at)
	}
	return ticks
}

// ran are the ticks that ran, each once or the test fails.
func (c *clockwork) ran() map[string]bool {
	c.t.Helper()
	ran := map[string]bool{}
	var jobs int
	inTest(c.t, c.db, func(ctx context.Context, tx *dbctx.Tx) error {
		keys, err := dbctx.All(ctx, tx, func(row dbctx.Scanner) (key string, err error) { return key, row.Scan(&key) },
			`SELECT key FROM done_keys WHERE key LIKE 'cron/%'`)
		if err != nil {
			return err
		}
		for _, key := range keys {
			ran[strings.TrimPrefix(key, "cron/")] = true
		}
		return tx.QueryRow(ctx, `SELECT count(*) FROM river_job WHERE kind = 'ticked'`).Scan(&jobs)
	})
	if jobs != len(ran) {
		c.t.Errorf("%d jobs for %d ticks, want one for each", jobs, len(ran))
	}
	return ran
}

func (c *clockwork) check() {
	c.t.Helper()
	ran := c.ran()
	for key := range c.want {
		if !ran[key] {
			c.t.Errorf("%s is lost", key)
		}
	}
	for key := range ran {
		if !c.want[key] {
			c.t.Errorf("%s ran against the policy", key)
		}
	}
}

func TestEachTickRunsOnceAndMissedOnesByThePolicy(t *testing.T) {
	for _, night := range []string{"2026-03-28T20:00:30Z", "2026-10-24T20:00:30Z"} { // the clocks change in both
		t.Run(night, func(t *testing.T) {
			cronDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
				seed := rand.Uint64()
				random := rand.New(rand.NewPCG(seed, 0))
				t.Logf("seed %d", seed)
				now, _ := time.Parse(time.RFC3339, night)
				c := newClockwork(t, db, now)
				for end := now.Add(20 * time.Hour); now.Before(end); {
					step := time.Duration(1+random.IntN(70)) * time.Second
					switch random.IntN(12) {
					case 0:
						step = time.Duration(1+random.IntN(180)) * time.Minute // nobody was there
					case 1, 2, 3:
						step *= 10
					}
					now = now.Add(step)
					if random.IntN(3) == 0 {
						c.restart()
					}
					c.to(now)
				}
				c.check()
				nights := 0
				for key := range c.ran() {
					if strings.HasPrefix(key, "nightly/") {
						nights++
					}
				}
				if nights != 1 {
					t.Errorf("the nightly schedule ran %d times in one night, want once", nights)
				}
			})
		})
	}
}

func TestAClockThatJumpsRepeatsNothingAndSilencesNothing(t *testing.T) {
	cronDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		start := time.Date(2026, 6, 1, 10, 0, 30, 0, time.UTC)
		c := newClockwork(t, db, start)
		walk := func(from time.Time, minutes int) time.Time {
			for range minutes {
				from = from.Add(time.Minute)
				c.now.Store(from.Unix())
				c.tick()
			}
			return from
		}
		now := walk(start, 22)      // no tick lies in the minute in which the clock comes back: it was missed an hour ago
		walk(now.Add(time.Hour), 5) // an hour ahead
		now = walk(now, 90)         // and back
		now = walk(now.Add(-time.Hour), 90)
		walk(now.AddDate(1, 0, 0), 2) // a year ahead
		end := walk(now, 60)          // and back
		ran := c.ran()
		for _, s := range crontab {
			for _, at := range between(t, s, start, end) {
				if !ran[key(s, at)] {
					t.Errorf("%s is lost", key(s, at))
				}
			}
		}
	})
}

func TestAllMeansAllHoweverLongNobodyWasThere(t *testing.T) {
	cronDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		start := time.Date(2026, 6, 1, 0, 0, 30, 0, time.UTC)
		c := newClockwork(t, db, start)
		now := start.Add(15 * 24 * time.Hour) // 1,080 ticks of "all"
		c.to(now)
		c.tick() // a minute later
		c.check()
	})
}

func TestASchedulesOfWhichOneCannotBeReadHoldsUpNoOther(t *testing.T) {
	cronDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		start := time.Date(2026, 6, 1, 0, 0, 30, 0, time.UTC)
		c := newClockwork(t, db, start)
		inTest(t, db, func(ctx context.Context, tx *dbctx.Tx) error {
			_, err := tx.Exec(ctx, `UPDATE schedules SET zone = 'Nowhere/Atall' WHERE name = 'all'`)
			return err
		})
		c.list = slices.DeleteFunc(slices.Clone(crontab), func(s schedule) bool { return s.name == "all" })
		c.to(start.Add(time.Hour))
		c.check()
	})
}

func TestDaylightSavingBringsEachNightOnce(t *testing.T) {
	for _, c := range []struct{ cron, zone, from, want string }{
		{"30 2 * * *", "Europe/Berlin", "2026-03-27T12:00:00Z", "28T01:30 29T01:30 30T00:30"},      // 02:30 is left out: 03:30
		{"30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", "25T00:30 26T01:30 27T01:30"},      // twice: the first
		{"0,30 2,3 * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", "29T01:00 29T01:30 30T00:00"},  // 02:00 and 03:00 meet
		{"30 1 * * *", "America/New_York", "2026-10-31T12:00:00Z", "01T05:30 02T06:30 03T06:30"},   //
		{"0 */2 * * *", "Europe/Berlin", "2026-10-24T22:30:00Z", "25T00:00 25T01:00 25T03:00"},     // robfig/cron's
		{"*/20 * * * *", "Europe/Berlin", "2026-03-29T00:30:00Z", "29T00:40 29T01:00 29T01:20"},    //
		{"17 3 * * *", "UTC", "2026-03-29T00:30:00Z", "29T03:17 30T03:17 31T03:17"},                //
		{"0 0 * * *", "Australia/Lord_Howe", "2026-04-04T00:00:00Z", "04T13:00 05T13:30 06T13:30"}, // half an hour
	} {
		parsed, err := parseCron(c.cron, c.zone)
		if err != nil {
			t.Fatal(err)
		}
		at, _ := time.Parse(time.RFC3339, c.from)
		var got []string
		for range 3 {
			at = parsed.Next(at)
			got = append(got, at.UTC().Format("02T15:04"))
		}
		if got := strings.Join(got, " "); got != c.want {
			t.Errorf("%q in %s from %s: %s, want %s", c.cron, c.zone, c.from, got, c.want)
		}
	}
}

func TestTheWallsTicksComeInOrder(t *testing.T) {
	for _, zone := range []string{"Europe/Berlin", "America/St_Johns", "Pacific/Apia", "Asia/Kathmandu"} {
		for _, text := range []string{"30 2 * * *", "*/7 1-4 * * *", "0 0,12 * * *"} {
			parsed, err := parseCron(text, zone)
			if err != nil {
				t.Fatal(err)
			}
			at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
			for end := at.AddDate(1, 0, 0); at.Before(end); {
				next := parsed.Next(at)
				if !next.After(at) {
					t.Fatalf("%q in %s: %s follows %s", text, zone, next, at)
				}
				if between := parsed.Next(at.Add(next.Sub(at) / 2).Truncate(time.Second)); !between.Equal(next) {
					t.Fatalf("%q in %s: %s follows %s, but %s what lies between", text, zone, next, at, between)
				}
				at = next
			}
		}
	}
	if _, err := parseCron("0 2 * * *", "Nowhere/Atall"); fmt.Sprint(err) != `time zone "Nowhere/Atall" is not known` {
		t.Errorf("error = %v", err)
	}
}
