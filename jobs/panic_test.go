package jobs

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/dbctx/dbctxtest"
	"github.com/leadmill/leadmill/schema"
)

var panicDatabases = dbctxtest.New("panic", Migrate)

// explode is a job that panics after it wrote something.
type explode struct{}

func (explode) Kind() string  { return "explode" }
func (explode) Queue() string { return Live }

// record is a log that two goroutines may use.
type record struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (r *record) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.b.Write(b)
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.b.String()
}

func TestAPanicIsAFailedAttemptAndTheWorkerLives(t *testing.T) {
	panicDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		log := &record{}
		q := newQueue(db, Options{Logger: slog.New(slog.NewTextHandler(log, nil))})
		inScope(q, func(_ context.Context, s *Scope, _ explode) error {
			schema.AddEvents(s.Tx, s.Job.Actor(), s.Now, schema.NewEvent{LeadID: 1, Kind: "boom", Data: struct{}{}})
			panic("boom")
		})
		q.register()
		if err := q.connect(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(q.Close)
		if err := q.Start(context.Background()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := q.Stop(context.Background()); err != nil {
				t.Error(err)
			}
		})
		enqueue(t, q, explode{})
		var failed []schema.FailedJob
		await(t, func() bool {
			failed, _ = q.FailedJobs(t.Context(), 10)
			return len(failed) == 1
		})
		if failed[0].Attempt < 1 || !strings.Contains(failed[0].Error, "boom") {
			t.Errorf("failed job = %+v, want a failed attempt and the panic", failed[0])
		}
		if !strings.Contains(log.String(), "panic_test.go") {
			t.Errorf("the log lacks the line that panicked:\n%s", log)
		}
		enqueue(t, q, Purge{})
		await(t, func() bool { idle, _ := q.Idle(t.Context()); return idle })
		err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
			events, err := schema.LeadEvents(ctx, tx, 1)
			if len(events) != 0 {
				t.Errorf("what the job wrote before its panic is there: %v", events)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func enqueue(t *testing.T, q *Queue, args Args) {
	t.Helper()
	err := dbctx.Run(t.Context(), q.db, func(ctx context.Context, tx *dbctx.Tx) error { return q.Enqueue(ctx, tx, args) })
	if err != nil {
		t.Fatal(err)
	}
}

func await(t *testing.T, is func() bool) {
	t.Helper()
	deadline := time.NewTimer(5 * time.Minute)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatal("it did not come about")
		}
	}
}
