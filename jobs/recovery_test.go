package jobs

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/dbctx/dbctxtest"
	"github.com/leadmill/leadmill/schema"
)

var recoveryDatabases = dbctxtest.New("recovery", Migrate)

// crash is a job that writes an event in its scope and then does what its process wants.
type crash struct {
	No int64 `json:"no"`
}

func (crash) Kind() string  { return "crash" }
func (crash) Queue() string { return Live }

// process is a queue whose heart beats quickly. in is called inside the job's scope. A process that is to look dead has no
// place free, since its queue lives on.
func process(t *testing.T, db *dbctx.DB, places int, in func(ctx context.Context, no int64) error) *Queue {
	t.Helper()
	q := newQueue(db, Options{Queues: []string{Live}, Concurrency: places})
	q.heart.every, q.heart.deadAfter = 50*time.Millisecond, 2*time.Second
	inScope(q, func(ctx context.Context, s *Scope, args crash) error {
		schema.AddEvents(s.Tx, s.Job.Actor(), s.Now, schema.NewEvent{LeadID: args.No, Kind: "worked", Data: struct{}{}})
		return in(ctx, args.No)
	})
	q.register()
	if err := q.connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(q.Close)
	if err := q.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	return q
}

func stopLater(t *testing.T, q *Queue) {
	t.Cleanup(func() {
		if err := q.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// fallSilent lets a process look dead: it does not beat any more, and takes nothing from the suspect lane.
func fallSilent(t *testing.T, q *Queue) {
	t.Helper()
	q.heart.stop()
	<-q.heart.done
	if !q.heart.lane {
		return
	}
	if err := q.engine.lane(t.Context(), Suspect, false); err != nil {
		t.Error(err)
	}
}

func worked(t *testing.T, db *dbctx.DB, no int64) (n int) {
	t.Helper()
	err := dbctx.Run(context.Background(), db, func(ctx context.Context, tx *dbctx.Tx) error {
		events, err := schema.LeadEvents(ctx, tx, no)
		n = len(events)
		return err
	}, dbctx.ReadOnly())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// On SQLite the writing scope of a process that hangs holds the lock, so this is a story of PostgreSQL.
func TestTheJobOfASilentProcessGoesOnElsewhereAndItsAwakeningChangesNothing(t *testing.T) {
	t.Parallel()
	db := recoveryDatabases.Open(t, dbctx.Postgres)
	hangs, wake := make(chan struct{}), make(chan struct{})
	stalled := process(t, db, 1, func(context.Context, int64) error { close(hangs); <-wake; return nil })
	enqueue(t, stalled, crash{No: 1})
	<-hangs
	fallSilent(t, stalled)
	var attempts atomic.Int64
	other := process(t, db, 2, func(context.Context, int64) error { attempts.Add(1); return nil })
	stopLater(t, other)
	await(t, func() bool { return worked(t, db, 1) == 1 })
	close(wake)
	if err := stalled.engine.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := worked(t, db, 1); n != 1 || attempts.Load() != 1 {
		t.Errorf("the job left %d events after %d runs elsewhere, want 1 and 1", n, attempts.Load())
	}
	failed, err := other.FailedJobs(t.Context(), 10)
	if err != nil || len(failed) != 0 {
		t.Errorf("failed jobs = %+v, %v; want none", failed, err)
	}
}

func TestWhoeverBeatsIsNotBuried(t *testing.T) {
	recoveryDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		one := process(t, db, 2, func(context.Context, int64) error { return nil })
		two := process(t, db, 2, func(context.Context, int64) error { return nil })
		await(t, func() bool { return time.Since(one.heart.self.StartedAt) > 0 && beats(t, db) == 2 })
		fallSilent(t, two)
		await(t, func() bool { return beats(t, db) == 1 })
		if err := one.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		if err := two.engine.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		if n := beats(t, db); n != 0 {
			t.Errorf("%d workers are on the list after all have ended, want none", n)
		}
	})
}

func TestAQueueThatWasStoppedBeatsAgainWhenItStarts(t *testing.T) {
	recoveryDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		q := process(t, db, 2, func(context.Context, int64) error { return nil })
		for range 2 {
			if err := q.Stop(t.Context()); err != nil {
				t.Fatal(err)
			}
			if n := beats(t, db); n != 0 {
				t.Errorf("%d workers after the stop, want none", n)
			}
			if err := q.Start(context.Background()); err != nil {
				t.Fatal(err)
			}
			if n := beats(t, db); n != 1 {
				t.Errorf("%d workers after the start, want 1", n)
			}
		}
		stopLater(t, q)
	})
}

func beats(t *testing.T, db *dbctx.DB) int {
	t.Helper()
	var workers []schema.Worker
	err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) (err error) {
		workers, err = schema.ListWorkers(ctx, tx)
		return err
	}, dbctx.ReadOnly())
	if err != nil {
		t.Fatal(err)
	}
	return len(workers)
}

// Each process here dies while it runs two jobs: one that kills, and one that stands by. On the fourth the one that kills
// is alone.
func TestAJobThatKillsItsProcessIsParkedAndWhoStoodByGoesThrough(t *testing.T) {
	t.Parallel()
	db := recoveryDatabases.Open(t, dbctx.Postgres)
	const culprit, bystander = 1, 2
	var deaths atomic.Int64
	for range suspectAfter {
		died, both := make(chan struct{}), make(chan struct{}, 2)
		dying := process(t, db, 2, func(ctx context.Context, no int64) error {
			both <- struct{}{}
			<-died
			return errors.New("it never came this far")
		})
		if deaths.Add(1) == 1 {
			enqueue(t, dying, crash{No: culprit})
			enqueue(t, dying, crash{No: bystander})
		}
		<-both
		<-both
		fallSilent(t, dying)
		t.Cleanup(func() { close(died); _ = dying.engine.Stop(context.Background()) })
		bury(t, db)
	}
	inLane := make(chan struct{})
	last := make(chan struct{})
	fourth := process(t, db, 2, func(_ context.Context, no int64) error {
		if no == culprit {
			close(inLane)
			<-last
			return errors.New("it never came this far")
		}
		return nil
	})
	<-inLane
	fourth.heart.stop() // its lane is where the job runs
	<-fourth.heart.done
	t.Cleanup(func() { close(last); _ = fourth.engine.Stop(context.Background()) })
	bury(t, db)
	healthy := process(t, db, 2, func(_ context.Context, no int64) error {
		if no == culprit {
			t.Error("the culprit runs again")
		}
		return nil
	})
	stopLater(t, healthy)
	await(t, func() bool { return worked(t, db, bystander) == 1 })
	failed, err := healthy.FailedJobs(t.Context(), 10)
	if err != nil || len(failed) != 1 || failed[0].State != "discarded" || failed[0].Error != whyParked {
		t.Fatalf("failed jobs = %+v, %v; want the culprit with the reason", failed, err)
	}
	err = dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
		var queue string
		err := tx.QueryRow(ctx, `SELECT queue FROM job_crashes WHERE job_id = $1`, failed[0].ID).Scan(&queue)
		if queue != Live {
			t.Errorf("a retry would put the job into queue %q, want its own", queue)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// bury waits until the silent are found dead by a process that works nothing.
func bury(t *testing.T, db *dbctx.DB) {
	t.Helper()
	q := newQueue(db, Options{})
	await(t, func() bool {
		err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error { return q.recover(ctx, tx, 0) })
		if err != nil {
			t.Error(err)
		}
		return beats(t, db) == 0
	})
}

// Whoever is silent is buried by a process that has just begun, if somebody has been beating all the while; and after a gap,
// in which nobody did, only once everybody has had the time to beat again.
func TestAGapInAllBeatsGivesEverybodyTimeToBeatAgain(t *testing.T) {
	recoveryDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		q := newQueue(db, Options{})
		for _, story := range []struct {
			silent, last, steady time.Duration // ago
			buried               bool
		}{
			{silent: time.Minute, last: 5 * time.Second, steady: time.Hour, buried: true},
			{silent: time.Minute, last: time.Minute, steady: time.Hour, buried: false},
			{silent: time.Minute, last: 5 * time.Second, steady: 15 * time.Second, buried: false},
			{silent: 10 * time.Second, last: 5 * time.Second, steady: time.Hour, buried: false},
		} {
			set(t, db, story.silent, story.last, story.steady)
			if err := q.heart.beat(t.Context()); err != nil {
				t.Fatal(err)
			}
			if buried := beats(t, db) == 1; buried != story.buried {
				t.Errorf("%+v: buried = %v", story, buried)
			}
		}
	})
}

// set has one worker silent for that long, and the pulse of the fleet as it is told.
func set(t *testing.T, db *dbctx.DB, silent, last, steady time.Duration) {
	t.Helper()
	ago := func(d time.Duration) time.Time { return time.Now().UTC().Add(-d).Truncate(time.Microsecond) }
	err := dbctx.Run(t.Context(), db, func(_ context.Context, tx *dbctx.Tx) error {
		tx.Queue(`DELETE FROM workers`)
		tx.Queue(`DELETE FROM pulse`)
		tx.Queue(`INSERT INTO workers (id, host, pid, started_at, seen_at) VALUES ('silent', 'host', 1, $1, $1)`, ago(silent))
		tx.Queue(`INSERT INTO pulse (one, last_at, steady_since) VALUES (true, $1, $2)`, ago(last), ago(steady))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
