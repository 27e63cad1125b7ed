package jobs

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/dbctx/dbctxtest"
	"github.com/leadmill/leadmill/schema"
)

var stopDatabases = dbctxtest.New("stop", Migrate)

// One job for each way to run: they write an event and then do what the test wants.
type (
	scopedJob struct{}
	callJob   struct{}
	stepJob   struct{}
)

func (scopedJob) Kind() string  { return "scoped_job" }
func (scopedJob) Queue() string { return Live }
func (callJob) Kind() string    { return "call_job" }
func (callJob) Queue() string   { return Live }
func (stepJob) Kind() string    { return "step_job" }
func (stepJob) Queue() string   { return Live }

func note(s *Scope, kind string) {
	schema.AddEvents(s.Tx, s.Job.Actor(), s.Now, schema.NewEvent{LeadID: 1, Kind: kind, Data: struct{}{}})
}

// newWorker is a queue of the three jobs, started.
func newWorker(t *testing.T, db *dbctx.DB, do func(ctx context.Context, kind string) error) *Queue {
	t.Helper()
	q := newQueue(db, Options{Queues: []string{Live}})
	inScope(q, func(ctx context.Context, s *Scope, _ scopedJob) error {
		note(s, "scoped_job")
		return do(ctx, "scoped_job")
	})
	callThenSettle(q, stages[callJob, int]{
		enter:  func(context.Context, *Queue, callJob) (func(int), error) { return func(int) {}, nil },
		take:   func(context.Context, *Scope, callJob) (int, error) { return 0, nil },
		call:   func(ctx context.Context, _ *Queue, _ int) (int, error) { return 0, do(ctx, "call_job") },
		again:  func(int, time.Time) time.Duration { return 0 },
		settle: func(_ context.Context, s *Scope, _ int, _ time.Duration) error { note(s, "call_job"); return nil },
	})
	inSteps(q, func(ctx context.Context, q *Queue, j Job, _ stepJob) error {
		if err := do(ctx, "step_job"); err != nil {
			return err
		}
		return q.scope(ctx, j, func(_ context.Context, s *Scope) error { note(s, "step_job"); return nil }, j.fence())
	})
	if err := q.connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(q.Close)
	if err := q.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	return q
}

func kindsOf(t *testing.T, db *dbctx.DB) map[string]int {
	t.Helper()
	kinds := map[string]int{}
	inTest(t, db, func(ctx context.Context, tx *dbctx.Tx) error {
		events, err := schema.LeadEvents(ctx, tx, 1)
		for _, e := range events {
			kinds[e.Kind]++
		}
		return err
	})
	return kinds
}

func inTest(t *testing.T, db *dbctx.DB, fn func(context.Context, *dbctx.Tx) error) {
	t.Helper()
	if err := dbctx.Run(context.Background(), db, fn); err != nil {
		t.Fatal(err)
	}
}

// jobRow is what a job's row says: "available 0/25, 1 errors".
func jobRow(t *testing.T, db *dbctx.DB, kind string) (row string) {
	t.Helper()
	inTest(t, db, func(ctx context.Context, tx *dbctx.Tx) error {
		var id int64
		if err := tx.QueryRow(ctx, `SELECT max(id) FROM river_job WHERE kind = $1`, kind).Scan(&id); err != nil {
			return err
		}
		j, err := schema.GetJob(ctx, tx, id)
		row = fmt.Sprintf("%s %d/%d, %d errors", j.State, j.Attempt, j.MaxAttempts, len(j.Errors))
		return err
	})
	return row
}

var allWays = []Args{scopedJob{}, callJob{}, stepJob{}}

func TestAStopLetsRunningJobsFinish(t *testing.T) {
	stopDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		for _, args := range allWays {
			began, end := make(chan struct{}), make(chan struct{})
			q := newWorker(t, db, func(context.Context, string) error { close(began); <-end; return nil })
			enqueue(t, q, args)
			<-began
			stopped := make(chan error, 1)
			go func() { stopped <- q.Stop(context.Background()) }()
			await(t, func() bool { return q.heart.leaving.Load() })
			close(end)
			if err := <-stopped; err != nil {
				t.Errorf("%s: stop = %v", args.Kind(), err)
			}
			if got, want := jobRow(t, db, args.Kind()), "completed 1/25, 0 errors"; got != want {
				t.Errorf("%s: %s after the stop, want %s", args.Kind(), got, want)
			}
			if n := kindsOf(t, db)[args.Kind()]; n != 1 {
				t.Errorf("%s: its effects are there %d times", args.Kind(), n)
			}
		}
	})
}

func TestAStopAtOnceGivesJobsAndAttemptsBack(t *testing.T) {
	for name, fail := range map[string]func(context.Context) error{
		"in the words of the context": func(ctx context.Context) error { return ctx.Err() },
		"in words of its own":         func(context.Context) error { return errors.New("the line went dead") },
	} {
		t.Run(name, func(t *testing.T) {
			stopDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
				for _, args := range allWays {
					began := make(chan struct{})
					begin := sync.OnceFunc(func() { close(began) }) // who is given back may be fetched once more by a client that stops
					q := newWorker(t, db, func(ctx context.Context, _ string) error {
						begin()
						<-ctx.Done()
						return fail(ctx)
					})
					enqueue(t, q, args)
					<-began
					hurry, now := context.WithCancel(context.Background())
					now()
					if err := q.Stop(hurry); !errors.Is(err, context.Canceled) || errors.Is(err, ErrStillRunning) {
						t.Errorf("%s: stop at once = %v, want that it was cut", args.Kind(), err)
					}
					if got, want := jobRow(t, db, args.Kind()), "available 0/25, 0 errors"; got != want {
						t.Errorf("%s: %s after the stop, want %s", args.Kind(), got, want)
					}
					if n := beats(t, db); n != 0 {
						t.Errorf("%s: %d workers are on the list, want none", args.Kind(), n)
					}
					next := newWorker(t, db, func(context.Context, string) error { return nil })
					await(t, func() bool { return jobRow(t, db, args.Kind()) == "completed 1/25, 0 errors" })
					if err := next.Stop(context.Background()); err != nil {
						t.Error(err)
					}
					if n := kindsOf(t, db)[args.Kind()]; n != 1 {
						t.Errorf("%s: its effects are there %d times", args.Kind(), n)
					}
				}
			})
		})
	}
}

// On SQLite the scope of a job that hangs holds the lock, so this is a story of PostgreSQL.
func TestAJobThatDoesNotHearTheStopGoesOnElsewhereAtOnce(t *testing.T) {
	t.Parallel()
	db := stopDatabases.Open(t, dbctx.Postgres)
	began, wake := make(chan struct{}), make(chan struct{})
	deaf := newWorker(t, db, func(context.Context, string) error { close(began); <-wake; return nil })
	enqueue(t, deaf, scopedJob{})
	<-began
	hurry, now := context.WithCancel(context.Background())
	now()
	if err := deaf.Stop(hurry); !errors.Is(err, ErrStillRunning) {
		t.Fatalf("stop = %v, want ErrStillRunning", err)
	}
	if got, want := jobRow(t, db, "scoped_job"), "available 0/25, 0 errors"; got != want {
		t.Errorf("%s after the stop, want %s", got, want)
	}
	if n := beats(t, db); n != 0 {
		t.Errorf("%d workers are on the list, want none", n)
	}
	var runs atomic.Int64
	other := newWorker(t, db, func(context.Context, string) error { runs.Add(1); return nil })
	stopLater(t, other)
	await(t, func() bool { return kindsOf(t, db)["scoped_job"] == 1 })
	close(wake) // had the process lived on, the fence would have held
	if err := deaf.engine.Stop(context.Background()); err != nil {
		t.Error(err)
	}
	if n := kindsOf(t, db)["scoped_job"]; n != 1 || runs.Load() != 1 {
		t.Errorf("%d events after %d runs elsewhere, want 1 and 1", n, runs.Load())
	}
}
