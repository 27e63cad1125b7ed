package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/dbctx/dbctxtest"
	"github.com/leadmill/leadmill/schema"
)

var poisonDatabases = dbctxtest.New("poison", Migrate)

// change does something to the rows of a kind, as another release or an accident would.
func change(t *testing.T, db *dbctx.DB, kind, set string) {
	t.Helper()
	inTest(t, db, func(ctx context.Context, tx *dbctx.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE river_job SET `+set+` WHERE kind = $1`, kind)
		return err
	})
}

// parked waits until a job of the kind was given up, and returns it.
func parked(t *testing.T, q *Queue, kind string) (found schema.FailedJob) {
	t.Helper()
	await(t, func() bool {
		failed, err := q.FailedJobs(t.Context(), 10)
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(failed, func(j schema.FailedJob) bool { return j.Kind == kind && j.State == "discarded" })
		if i >= 0 {
			found = failed[i]
		}
		return i >= 0
	})
	return found
}

type numbered struct {
	No int64 `json:"no"`
}

func (numbered) Kind() string  { return "numbered" }
func (numbered) Queue() string { return Live }

func TestArgumentsThatCannotBeReadAreParkedAtOnceAndRunOnceTheyCan(t *testing.T) {
	for name, register := range map[string]func(*Queue, chan int64){
		"scoped": func(q *Queue, done chan int64) {
			inScope(q, func(_ context.Context, _ *Scope, args numbered) error { done <- args.No; return nil })
		},
		"in steps": func(q *Queue, done chan int64) {
			inSteps(q, func(_ context.Context, _ *Queue, _ Job, args numbered) error { done <- args.No; return nil })
		},
	} {
		t.Run(name, func(t *testing.T) {
			poisonDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
				q := newQueue(db, Options{Queues: []string{Live}})
				done := make(chan int64, 10)
				register(q, done)
				if err := q.connect(t.Context()); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(q.Close)
				enqueue(t, q, numbered{No: 7})
				change(t, db, "numbered", `args = '{"no": "seven"}'`)
				enqueue(t, q, numbered{No: 8})
				if err := q.Start(context.Background()); err != nil {
					t.Fatal(err)
				}
				stopLater(t, q)
				if no := <-done; no != 8 {
					t.Errorf("job %d ran, want the one that can be read", no)
				}
				j := parked(t, q, "numbered")
				if j.Attempt != 1 || !strings.Contains(j.Error, "cannot be read by this release") {
					t.Errorf("parked = %+v, want it parked at the first attempt with the reason", j)
				}
				change(t, db, "numbered", `args = '{"no": 7}'`)
				if err := q.RetryJob(t.Context(), j.ID); err != nil {
					t.Fatal(err)
				}
				if no := <-done; no != 7 {
					t.Errorf("job %d ran after the retry, want 7", no)
				}
			})
		})
	}
}

func TestAnErrorOfTheWorkThatIsAboutJSONIsAnErrorLikeAnyOther(t *testing.T) {
	poisonDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		q := newWorker(t, db, func(context.Context, string) error {
			var no int64
			return json.Unmarshal([]byte(`"x"`), &no)
		})
		stopLater(t, q)
		enqueue(t, q, stepJob{})
		await(t, func() bool { return strings.HasSuffix(jobRow(t, db, "step_job"), "1 errors") })
		if row := jobRow(t, db, "step_job"); strings.HasPrefix(row, "discarded") {
			t.Errorf("%s, want it to be tried again", row)
		}
	})
}

func TestAPanicInTheLastAttemptParksTheJobWithTheReason(t *testing.T) {
	poisonDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		q := newQueue(db, Options{Queues: []string{Live}})
		inScope(q, func(context.Context, *Scope, explode) error { panic("boom") })
		if err := q.connect(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(q.Close)
		enqueue(t, q, explode{})
		change(t, db, "explode", "max_attempts = 1")
		if err := q.Start(context.Background()); err != nil {
			t.Fatal(err)
		}
		stopLater(t, q)
		if j := parked(t, q, "explode"); j.Error != "boom" {
			t.Errorf("parked = %+v, want what it panicked with", j)
		}
	})
}

// On SQLite the scope of a job that does not end holds the lock, so this is a story of PostgreSQL; there the process ends,
// and the job is parked as one that crashes.
func TestAJobThatNeverEndsIsParkedAndItsProcessSaysSo(t *testing.T) {
	t.Parallel()
	db := poisonDatabases.Open(t, dbctx.Postgres)
	q := newQueue(db, Options{Queues: []string{Live}})
	q.options.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	q.stuckAfter = 100 * time.Millisecond
	wake := make(chan struct{})
	add(q, plan[scopedJob]{timeout: 50 * time.Millisecond, scoped: func(_ context.Context, s *Scope, _ scopedJob) error {
		note(s, "scoped_job")
		<-wake
		return nil
	}})
	done := make(chan int64, 10)
	inScope(q, func(_ context.Context, _ *Scope, args numbered) error { done <- args.No; return nil })
	if err := q.connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(q.Close)
	if err := q.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	enqueue(t, q, scopedJob{})
	<-q.Stuck()
	j := parked(t, q, "scoped_job")
	if j.Error != whyStuck {
		t.Errorf("parked because %q, want %q", j.Error, whyStuck)
	}
	enqueue(t, q, numbered{No: 1})
	<-done // everything else goes on
	hurry, now := context.WithCancel(context.Background())
	now()
	if err := q.Stop(hurry); !errors.Is(err, ErrStillRunning) {
		t.Errorf("stop = %v, want ErrStillRunning", err)
	}
	if got, want := jobRow(t, db, "scoped_job"), "discarded 1/25, 1 errors"; got != want {
		t.Errorf("%s after the stop, want %s", got, want)
	}
	close(wake)
	if err := q.engine.Stop(context.Background()); err != nil {
		t.Error(err)
	}
	next := newWorker(t, db, func(context.Context, string) error { return nil })
	stopLater(t, next)
	if err := next.RetryJob(t.Context(), j.ID); err != nil {
		t.Fatal(err)
	}
	await(t, func() bool { return strings.HasPrefix(jobRow(t, db, "scoped_job"), "completed") })
	if n := kindsOf(t, db)["scoped_job"]; n != 1 {
		t.Errorf("its effects are there %d times, want once", n)
	}
}

func TestAJobThatEndsInItsOvertimeIsNotParked(t *testing.T) {
	t.Parallel()
	q := newQueue(poisonDatabases.Open(t, dbctx.SQLite), Options{})
	ended, end := context.WithCancel(t.Context())
	end()
	q.overdue(ended, 1, "slow")
	select {
	case <-q.Stuck():
		t.Error("the process is to end for a job that has ended")
	default:
	}
}

func TestAKindThatNobodyKnowsIsParkedWhenNobodyHasKnownItForLong(t *testing.T) {
	poisonDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		q := newQueue(db, Options{Queues: []string{Live}})
		q.heart.every, q.heart.deadAfter = 50*time.Millisecond, time.Hour
		q.heart.strangers.every, q.heart.strangers.after = 50*time.Millisecond, 300*time.Millisecond
		inScope(q, func(context.Context, *Scope, numbered) error { return nil })
		inScope(q, cronTick) // the leader makes one when it likes
		if err := q.connect(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(q.Close)
		enqueue(t, q, numbered{No: 1})
		change(t, db, "numbered", `kind = 'from_the_future'`)
		unknown := func() (kinds []string) {
			inTest(t, db, func(ctx context.Context, tx *dbctx.Tx) (err error) {
				kinds, err = schema.UnknownKinds(ctx, tx)
				return err
			})
			return kinds
		}
		if got := unknown(); len(got) != 0 {
			t.Errorf("unknown kinds without a worker = %v, want none: nobody could know", got)
		}
		newer := schema.Worker{ID: "newer", Host: "h", Kinds: []string{"from_the_future"}}
		inTest(t, db, func(ctx context.Context, tx *dbctx.Tx) error { return schema.BeatWorker(ctx, tx, newer) })
		if err := q.Start(context.Background()); err != nil {
			t.Fatal(err)
		}
		stopLater(t, q)
		if got := unknown(); len(got) != 0 {
			t.Errorf("unknown kinds beside a worker that knows it = %v, want none", got)
		}
		inTest(t, db, func(ctx context.Context, tx *dbctx.Tx) error { // a release before this one
			_, err := tx.Exec(ctx, `UPDATE workers SET kinds = NULL WHERE id = 'newer'`)
			return err
		})
		if got := unknown(); len(got) != 0 {
			t.Errorf("unknown kinds beside a worker that says nothing = %v, want none", got)
		}
		inTest(t, db, func(_ context.Context, tx *dbctx.Tx) error { schema.RemoveWorker(tx, "newer"); return nil })
		j := parked(t, q, "from_the_future")
		if j.Error != whyUnknown {
			t.Errorf("parked because %q, want %q", j.Error, whyUnknown)
		}
		if got := unknown(); len(got) != 0 {
			t.Errorf("unknown kinds = %v after all is parked, want none", got)
		}
	})
}

func TestAKindIsAStrangerOnlyIfItIsSeenWithoutAGap(t *testing.T) {
	s := strangers{every: time.Minute, after: 15 * time.Minute}
	at := time.Unix(0, 0)
	for step, c := range []struct {
		after time.Duration
		seen  string
		want  string
	}{
		{0, "a", ""},
		{3 * time.Minute, "a b", ""},
		{3 * time.Minute, "a b", ""},
		{3 * time.Minute, "b", ""},    // a new release came, and went again
		{3 * time.Minute, "a b", ""},  // a begins anew
		{3 * time.Minute, "a b", ""},  // 15 min since the first look, b is 12 old
		{3 * time.Minute, "a b", "b"}, // 15
		{10 * time.Minute, "a b", ""}, // nobody looked
		{3 * time.Minute, "a b", ""},
	} {
		at = at.Add(c.after)
		if got := strings.Join(s.see(strings.Fields(c.seen), at), " "); got != c.want {
			t.Errorf("step %d: strangers for long = %q, want %q", step, got, c.want)
		}
	}
}
