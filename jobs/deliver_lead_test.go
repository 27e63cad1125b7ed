package jobs

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/dbctx/dbctxtest"
	"github.com/leadmill/leadmill/lead"
	"github.com/leadmill/leadmill/schema"
)

var deliveryDatabases = dbctxtest.New("delivery", Migrate)

// depot is a queue with deliveries to make. It works them from start on.
type depot struct {
	t  *testing.T
	db *dbctx.DB
	q  *Queue
	id int64 // of the last lead
}

func newDepot(t *testing.T, db *dbctx.DB) *depot {
	t.Helper()
	d := &depot{t: t, db: db}
	d.q = d.process()
	return d
}

// process is one more queue on the database.
func (d *depot) process() *Queue {
	d.t.Helper()
	q := newQueue(d.db, Options{Queues: []string{Outbound}})
	q.register()
	if err := q.connect(context.Background()); err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(q.Close)
	return q
}

func (d *depot) start(q *Queue) {
	d.t.Helper()
	if err := q.Start(context.Background()); err != nil {
		d.t.Fatal(err)
	}
	stopLater(d.t, q)
}

func (d *depot) run(fn func(context.Context, *dbctx.Tx) error) {
	d.t.Helper()
	if err := dbctx.Run(context.Background(), d.db, fn); err != nil {
		d.t.Fatal(err)
	}
}

// destination is one that may be private, under a name of its own if it has none.
func (d *depot) destination(to schema.Destination) schema.Destination {
	d.t.Helper()
	to.AllowPrivate, to.Secret = true, "whsec_c2VjcmV0IG9mIHRoZSB0ZXN0cw=="
	if to.Name == "" {
		to.Name = "crm"
	}
	d.run(func(ctx context.Context, tx *dbctx.Tx) (err error) {
		to, err = schema.InsertDestination(ctx, tx, to, d.q.now())
		return err
	})
	return to
}

// plan makes that many leads with so many deliveries each, enqueues them and returns the deliveries' ids.
func (d *depot) plan(to schema.Destination, leads, each int) (ids []int64) {
	d.t.Helper()
	d.run(func(ctx context.Context, tx *dbctx.Tx) error {
		var rows []schema.Lead
		var plans []schema.NewDelivery
		for range leads {
			d.id++
			rows = append(rows, schema.Lead{State: schema.StateNew, Lead: lead.Lead{ID: d.id, Fields: map[string]lead.Field{}}})
			for n := range each {
				plans = append(plans, schema.NewDelivery{LeadID: d.id, DestinationID: to.ID, IntakeID: int64(n), Event: leadCreated,
					Key: fmt.Sprintf("%d/%d/%d", to.ID, d.id, n)})
			}
		}
		schema.SaveLeads(tx, rows, d.q.now())
		planned, err := schema.PlanDeliveries(ctx, tx, plans, d.q.now())
		var jobs []Args
		for _, p := range planned {
			ids = append(ids, p.ID)
			jobs = append(jobs, DeliverLead{DeliveryID: p.ID, DestinationID: to.ID})
		}
		if err != nil {
			return err
		}
		return d.q.Enqueue(ctx, tx, jobs...)
	})
	return ids
}

func (d *depot) delivery(id int64) (v schema.Delivery) {
	d.t.Helper()
	d.run(func(ctx context.Context, tx *dbctx.Tx) (err error) {
		v, err = schema.GetDelivery(ctx, tx, id)
		return err
	})
	return v
}

func (d *depot) is(state string, ids ...int64) func() bool {
	return func() bool {
		for _, id := range ids {
			if d.delivery(id).State != state {
				return false
			}
		}
		return true
	}
}

// count counts what a statement counts.
func (d *depot) count(sql string, args ...any) (n int64) {
	d.t.Helper()
	d.run(func(ctx context.Context, tx *dbctx.Tx) error { return tx.QueryRow(ctx, sql, args...).Scan(&n) })
	return n
}

// open counts the deliveries to a destination that are neither done nor wait for a person.
func (d *depot) open(to schema.Destination) int64 {
	return d.count(`SELECT count(*) FROM deliveries WHERE destination_id = $1 AND state IN ('pending', 'calling', 'retrying')`, to.ID)
}

func (d *depot) retry(id int64) {
	d.t.Helper()
	d.run(func(ctx context.Context, tx *dbctx.Tx) error { return d.q.RetryDelivery(ctx, tx, id) })
}

// take puts a delivery into the state that a process leaves behind which dies between its call and the settling, and returns
// what it would have settled.
func (d *depot) take(id int64) (c call) {
	d.t.Helper()
	job := Job{ID: d.count(`SELECT id FROM river_job WHERE kind = 'deliver_lead' ORDER BY id DESC LIMIT 1`), Attempt: 1}
	err := d.q.scope(context.Background(), job, func(ctx context.Context, s *Scope) (err error) {
		c, err = takeDelivery(ctx, s, DeliverLead{DeliveryID: id})
		return err
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return c
}

// listener answers as it is told and keeps the webhook-ids in the order they came.
type listener struct {
	*httptest.Server
	mu   sync.Mutex
	keys []string
}

// listen calls answer with the webhook-id of each call.
func listen(t *testing.T, answer func(key string, w http.ResponseWriter, r *http.Request)) *listener {
	l := &listener{}
	l.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key := r.Header.Get("Webhook-Id")
		l.mu.Lock()
		l.keys = append(l.keys, key)
		l.mu.Unlock()
		answer(key, w, r)
	}))
	t.Cleanup(l.Close)
	return l
}

func (l *listener) got() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.keys)
}

func TestACrashBetweenCallAndSettleIsResolvedByTheNatureOfTheDestination(t *testing.T) {
	deliveryDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		for _, notIdempotent := range []bool{false, true} {
			d := newDepot(t, db)
			l := listen(t, func(string, http.ResponseWriter, *http.Request) {})
			to := d.destination(schema.Destination{Name: fmt.Sprint(notIdempotent), URL: l.URL, NotIdempotent: notIdempotent})
			id := d.plan(to, 1, 1)[0]
			if _, err := makeCall(t.Context(), d.q, d.take(id)); err != nil { // and there it dies
				t.Fatal(err)
			}
			d.start(d.q)
			await(t, func() bool { return d.open(to) == 0 })
			v, keys := d.delivery(id), l.got()
			if !notIdempotent {
				if v.State != schema.DeliveryDone || len(keys) != 2 || keys[0] != keys[1] {
					t.Errorf("delivery is %s after the calls %v, want it done by a second one with the same key", v.State, keys)
				}
			} else {
				if v.State != schema.DeliveryUncertain || len(keys) != 1 || !strings.Contains(v.LastAnswer, "cut off") {
					t.Errorf("delivery is %s (%s) after the calls %v, want it uncertain and no second one", v.State, v.LastAnswer, keys)
				}
			}
			if err := d.q.Stop(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestAPersonDecidesWhatBecomesOfAnUncertainDelivery(t *testing.T) {
	deliveryDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		d := newDepot(t, db)
		broken := true
		l := listen(t, func(_ string, w http.ResponseWriter, _ *http.Request) {
			if broken {
				w.WriteHeader(http.StatusBadGateway)
			}
		})
		ids := d.plan(d.destination(schema.Destination{URL: l.URL, NotIdempotent: true}), 2, 1)
		d.start(d.q)
		await(t, d.is(schema.DeliveryUncertain, ids...))
		broken = false
		d.run(func(ctx context.Context, tx *dbctx.Tx) error { return d.q.ConfirmDelivery(ctx, tx, ids[0], "user/1") })
		d.retry(ids[1])
		await(t, d.is(schema.DeliveryDone, ids...))
		if keys := l.got(); len(keys) != 3 {
			t.Errorf("calls %v, want two and one again", keys)
		}
		if got, want := d.story(1), "delivery_uncertain delivery_confirmed"; got != want {
			t.Errorf("the first lead's events = %q, want %q", got, want)
		}
		if got, want := d.story(2), "delivery_uncertain delivered"; got != want {
			t.Errorf("the second lead's events = %q, want %q", got, want)
		}
		err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error { return d.q.ConfirmDelivery(ctx, tx, ids[0], "user/1") })
		if err == nil {
			t.Error("a delivery that is done was confirmed")
		}
	})
}

// story is the kinds of a lead's events.
func (d *depot) story(leadID int64) string {
	d.t.Helper()
	var kinds []string
	d.run(func(ctx context.Context, tx *dbctx.Tx) error {
		events, err := schema.LeadEvents(ctx, tx, leadID)
		for _, e := range events {
			kinds = append(kinds, e.Kind)
		}
		return err
	})
	return strings.Join(kinds, " ")
}

func TestTheDeliveriesOfALeadAreMadeInOrder(t *testing.T) {
	deliveryDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		d := newDepot(t, db)
		var mu sync.Mutex
		down := true
		l := listen(t, func(key string, w http.ResponseWriter, _ *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			if down && strings.HasSuffix(key, "/0") {
				w.Header().Set("Retry-After", "3600")
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		})
		to := d.destination(schema.Destination{URL: l.URL})
		ids := d.plan(to, 1, 3)
		d.start(d.q)
		await(t, d.is(schema.DeliveryRetrying, ids[0]))
		await(t, func() bool { // the jobs of the others have ended, and do not come back
			return d.count(`SELECT count(*) FROM river_job WHERE kind = 'deliver_lead' AND state = 'completed'`) == 2
		})
		if keys := l.got(); len(keys) != 1 {
			t.Fatalf("calls %v while the first waits, want only its own", keys)
		}
		mu.Lock()
		down = false
		mu.Unlock()
		d.retry(ids[0])
		await(t, d.is(schema.DeliveryDone, ids...))
		key := func(n int) string { return d.delivery(ids[n]).Key }
		if got, want := l.got(), []string{key(0), key(0), key(1), key(2)}; !slices.Equal(got, want) {
			t.Errorf("calls %v, want %v", got, want)
		}
	})
}

func TestAReopenedDeliveryGoesBeforeTheLaterOnesThatAreOpen(t *testing.T) {
	deliveryDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		d := newDepot(t, db)
		var mu sync.Mutex
		statuses := []int{422, 503, 503} // the first is refused, the second waits, the first waits as well
		l := listen(t, func(_ string, w http.ResponseWriter, _ *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			if len(statuses) > 0 {
				w.Header().Set("Retry-After", "3600")
				w.WriteHeader(statuses[0])
				statuses = statuses[1:]
			}
		})
		ids := d.plan(d.destination(schema.Destination{URL: l.URL}), 1, 2)
		first, second := ids[0], ids[1]
		d.start(d.q)
		await(t, d.is(schema.DeliveryGivenUp, first))
		await(t, d.is(schema.DeliveryRetrying, second))
		d.retry(first)
		await(t, d.is(schema.DeliveryRetrying, first))
		// The sleeping job of the second wakes up: it finds the first open and holds.
		job := d.count(`SELECT job_id FROM deliveries WHERE id = $1`, second)
		await(t, func() bool {
			return d.count(`SELECT count(*) FROM river_job WHERE id = $1 AND state = 'scheduled'`, job) == 1
		})
		execute(t, db, fmt.Sprintf(`UPDATE river_job SET state = 'available', scheduled_at = created_at WHERE id = %d`, job))
		await(t, d.is(schema.DeliveryPending, second))
		d.retry(first)
		await(t, d.is(schema.DeliveryDone, first, second))
		a, b := d.delivery(first).Key, d.delivery(second).Key
		if got, want := l.got(), []string{a, b, a, a, b}; !slices.Equal(got, want) {
			t.Errorf("calls %v, want %v", got, want)
		}
	})
}

// Whoever comes behind and whoever settles look for each other at the same moment, over and over, in two processes.
func TestNoDeliveryOfALeadIsForgottenOrOvertakes(t *testing.T) {
	deliveryDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		d := newDepot(t, db)
		l := listen(t, func(string, http.ResponseWriter, *http.Request) {})
		to := d.destination(schema.Destination{URL: l.URL})
		const leads, each = 40, 6
		d.plan(to, leads, each)
		d.start(d.q)
		d.start(d.process())
		await(t, func() bool { return d.open(to) == 0 })
		keys := l.got()
		last := map[string]string{}
		for _, key := range keys {
			one, n, _ := strings.Cut(strings.TrimPrefix(key, fmt.Sprintf("%d/", to.ID)), "/")
			if n <= last[one] && last[one] != "" {
				t.Errorf("delivery %s of lead %s came after %s", n, one, last[one])
			}
			last[one] = n
		}
		if len(keys) != leads*each {
			t.Errorf("%d calls, want %d", len(keys), leads*each)
		}
	})
}

// A stop cuts calls off that hang. Who can tell repeats is called again, who cannot is not.
func TestACallThatAStopCutsOffIsResolvedByTheNatureOfTheDestination(t *testing.T) {
	deliveryDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		d := newDepot(t, db)
		release := make(chan struct{})
		hang := func(_ string, _ http.ResponseWriter, r *http.Request) {
			select {
			case <-release:
			case <-r.Context().Done():
			}
		}
		one, two := listen(t, hang), listen(t, hang)
		repeats := d.destination(schema.Destination{Name: "repeats", URL: one.URL})
		once := d.destination(schema.Destination{Name: "once", URL: two.URL, NotIdempotent: true})
		a, b := d.plan(repeats, 1, 1)[0], d.plan(once, 1, 1)[0]
		if err := d.q.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		await(t, func() bool { return len(one.got()) == 1 && len(two.got()) == 1 })
		now, cancel := context.WithCancel(t.Context())
		cancel()
		if err := d.q.Stop(now); !errors.Is(err, context.Canceled) {
			t.Fatalf("Stop at once = %v, want the error of its context", err)
		}
		if v := d.delivery(b); v.State != schema.DeliveryUncertain || !strings.Contains(v.LastAnswer, "interrupted") {
			t.Errorf("the delivery to the one that cannot tell repeats is %s (%s), want uncertain and interrupted", v.State, v.LastAnswer)
		}
		close(release)
		d.start(d.process())
		await(t, d.is(schema.DeliveryDone, a))
		if n, m := len(one.got()), len(two.got()); n != 2 || m != 1 {
			t.Errorf("%d and %d calls, want the first called again and the second not", n, m)
		}
	})
}

// A job is given away while its process still calls: that was stalled, or too busy to beat. Whoever called last settles, and the
// other one leaves no mark that would keep it from doing so.
func TestWhoWasOvertakenInItsCallDoesNotKeepTheOtherFromSettling(t *testing.T) {
	for name, overtaker := range map[string]int{"taken": http.StatusOK, "not taken yet": http.StatusServiceUnavailable} {
		t.Run(name, func(t *testing.T) {
			deliveryDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
				d := newDepot(t, db)
				called := make(chan chan int, 3) // each call asks for its status
				l := listen(t, func(_ string, w http.ResponseWriter, _ *http.Request) {
					status := make(chan int)
					called <- status
					w.WriteHeader(<-status)
				})
				id := d.plan(d.destination(schema.Destination{URL: l.URL}), 1, 1)[0]
				d.start(d.q)
				first := <-called
				d.start(d.process()) // a process has one call to a destination at a time on SQLite
				job := d.delivery(id).JobID
				execute(t, db, fmt.Sprintf(`UPDATE river_job SET state = 'available' WHERE id = %d`, job))
				second := <-called
				first <- http.StatusOK
				await(t, func() bool { return stateOf(d, job) != "running" })
				second <- overtaker
				if overtaker != http.StatusOK {
					await(t, d.is(schema.DeliveryRetrying, id))
					execute(t, db, `UPDATE deliveries SET next_at = created_at`)
					execute(t, db, fmt.Sprintf(`UPDATE river_job SET state = 'available', scheduled_at = created_at WHERE id = %d`, job))
					third := <-called
					third <- http.StatusOK
				}
				await(t, d.is(schema.DeliveryDone, id))
			})
		})
	}
}

// A process may die, or the database go away, between the settling and the sleep.
func TestWhoIsWokenBeforeTheReceiversTimeSleepsOn(t *testing.T) {
	deliveryDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		d := newDepot(t, db)
		l := listen(t, func(_ string, w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "3600")
			w.WriteHeader(http.StatusServiceUnavailable)
		})
		id := d.plan(d.destination(schema.Destination{URL: l.URL}), 1, 1)[0]
		d.start(d.q)
		await(t, d.is(schema.DeliveryRetrying, id))
		job := d.delivery(id).JobID
		await(t, func() bool { return stateOf(d, job) == "scheduled" })
		execute(t, db, fmt.Sprintf(`UPDATE river_job SET state = 'available', scheduled_at = created_at WHERE id = %d`, job))
		await(t, func() bool { return stateOf(d, job) == "scheduled" })
		next := d.delivery(id).NextAt
		d.run(func(ctx context.Context, tx *dbctx.Tx) error {
			j, err := schema.GetJob(ctx, tx, job)
			if j.ScheduledAt.Before(next.Add(-time.Second)) || j.Attempt > 1 {
				t.Errorf("it sleeps until %s at attempt %d, want until %s", j.ScheduledAt, j.Attempt, next)
			}
			return err
		})
		if n := len(l.got()); n != 1 {
			t.Errorf("the receiver was called %d times, want once", n)
		}
	})
}

func stateOf(d *depot, job int64) (state string) {
	d.t.Helper()
	d.run(func(ctx context.Context, tx *dbctx.Tx) error {
		j, err := schema.GetJob(ctx, tx, job)
		state = j.State
		return err
	})
	return state
}
