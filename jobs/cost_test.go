package jobs

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/dbctx/dbctxtest"
	"github.com/leadmill/leadmill/lead"
	"github.com/leadmill/leadmill/schema"
)

var costDatabases = dbctxtest.New("cost", Migrate)

// tracing collects how many round trips each job's scope took.
type tracing struct {
	noop.TracerProvider
	ended chan int64
}

func (t *tracing) Tracer(string, ...trace.TracerOption) trace.Tracer { return tracer{ended: t.ended} }

type tracer struct {
	noop.Tracer
	ended chan int64
}

func (t tracer) Start(ctx context.Context, _ string, _ ...trace.SpanStartOption) (context.Context, trace.Span) {
	return ctx, span{ended: t.ended}
}

type span struct {
	noop.Span
	ended chan int64
}

// SetAttributes tells the trips of a scope that jobs.go opened.
func (s span) SetAttributes(all ...attribute.KeyValue) {
	set := attribute.NewSet(all...)
	at, _ := set.Value("code.location")
	if strings.HasPrefix(at.AsString(), "jobs/jobs.go:") {
		taken, _ := set.Value("dbctx.trips")
		s.ended <- taken.AsInt64()
	}
}

func TestAJobThatReadsOnceTakesTwoRoundTrips(t *testing.T) {
	for _, d := range []dbctx.Dialect{dbctx.SQLite, dbctx.Postgres} {
		t.Run(string(d), func(t *testing.T) {
			t.Parallel()
			seen := &tracing{ended: make(chan int64, 1)}
			db, err := dbctx.Open(t.Context(), costDatabases.URL(t, d), dbctx.Pool{Size: 2, Tracer: seen})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(db.Close)
			q := newQueue(db, Options{Queues: []string{Live}})
			startForCost(t, q)
			err = dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
				schema.SaveLeads(tx, []schema.Lead{{State: schema.StateNew, Lead: lead.Lead{ID: 1, Fields: map[string]lead.Field{}}}}, time.Unix(0, 0))
				return q.Enqueue(ctx, tx, BenchLead{LeadID: 1})
			})
			if err != nil {
				t.Fatal(err)
			}
			if got := <-seen.ended; got != 2 {
				t.Errorf("the job's scope took %d round trips, want 2", got)
			}
		})
	}
}

// startForCost works the jobs until the test ends.
func startForCost(tb testing.TB, q *Queue) {
	tb.Helper()
	q.register()
	if err := q.connect(context.Background()); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(q.Close)
	if err := q.Start(context.Background()); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := q.Stop(context.Background()); err != nil {
			tb.Error(err)
		}
	})
}

// knock is a job that says when it began.
type knock struct{}

func (knock) Kind() string  { return "knock" }
func (knock) Queue() string { return Live }

// BenchmarkPickup is the time from the commit that enqueues a job to the start of its work, on an idle house: the last job
// was fetched longer ago than a queue waits between two fetches.
func BenchmarkPickup(b *testing.B) {
	db := costDatabases.Open(b, dbctx.Postgres)
	began := make(chan time.Time, 1)
	q := newQueue(db, Options{})
	inScope(q, func(context.Context, *Scope, knock) error { began <- time.Now(); return nil })
	startForCost(b, q)
	idle := time.NewTicker(30 * time.Millisecond)
	defer idle.Stop()
	var took []time.Duration
	for b.Loop() {
		<-idle.C
		var start time.Time
		err := dbctx.Run(b.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
			err := q.Enqueue(ctx, tx, knock{})
			start = time.Now() // the commit follows
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
		took = append(took, (<-began).Sub(start))
	}
	slices.Sort(took)
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	b.ReportMetric(ms(took[len(took)/2]), "ms-p50")
	b.ReportMetric(ms(took[len(took)*99/100]), "ms-p99")
}

func TestADeliveryToADestinationWithoutLimitsTakesFiveRoundTrips(t *testing.T) {
	for _, d := range []dbctx.Dialect{dbctx.SQLite, dbctx.Postgres} {
		t.Run(string(d), func(t *testing.T) {
			t.Parallel()
			seen := &tracing{ended: make(chan int64, 2)}
			db, err := dbctx.Open(t.Context(), costDatabases.URL(t, d), dbctx.Pool{Size: 2, Tracer: seen})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(db.Close)
			depot := &depot{t: t, db: db, q: newQueue(db, Options{Queues: []string{Outbound}})}
			startForCost(t, depot.q)
			l := listen(t, func(string, http.ResponseWriter, *http.Request) {})
			depot.plan(depot.destination(schema.Destination{URL: l.URL}), 1, 1)
			if take, settle := <-seen.ended, <-seen.ended; take != 3 || settle != 2 {
				t.Errorf("a delivery took %d round trips before the call and %d behind it, want 3 and 2", take, settle)
			}
		})
	}
}
