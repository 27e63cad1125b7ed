package schema_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/schema"
)

// backlog puts that many jobs into each of two queues, waiting, and one that is done.
func backlog(ctx context.Context, t *testing.T, tx *dbctx.Tx, n int) {
	t.Helper()
	series := `SELECT value FROM generate_series(1, $2) AS s (value)`
	empty := `'{}'`
	if tx.Dialect() == dbctx.SQLite {
		series = `WITH RECURSIVE s (value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM s WHERE value < $2) SELECT value FROM s`
		empty = `jsonb('{}')`
	}
	insert := `INSERT INTO river_job (args, kind, max_attempts, queue, state, created_at, scheduled_at, finalized_at)
		SELECT ` + empty + `, 'process_leads', 25, $1, $3, $4, $5, $6 FROM (` + series + `) AS n`
	for queue, waits := range map[string]time.Duration{"bulk": time.Minute, "live": time.Second} {
		turn := at.Add(-waits - time.Hour) // in the past, as turns are
		must[int64](t)(tx.Exec(ctx, insert, queue, n, "available", at.Add(-waits), turn, nil))
	}
	must[int64](t)(tx.Exec(ctx, insert, "live", 1, "completed", at, at, at))
}

func TestJobsAreCountedByQueueAndState(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, tx *dbctx.Tx) {
		if counts := must[[]schema.JobCount](t)(schema.JobCounts(ctx, tx)); len(counts) != 0 {
			t.Errorf("jobs in an empty house = %v, want none", counts)
		}
		backlog(ctx, t, tx, 30)
		counts := must[[]schema.JobCount](t)(schema.JobCounts(ctx, tx))
		if got, want := fmt.Sprint(counts), "[{bulk available 30} {live available 30} {live completed 1}]"; got != want {
			t.Errorf("jobs = %s, want %s", got, want)
		}
	})
}

func TestTheOldestWaitsSinceItWasMadeNotSinceItsTurn(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, tx *dbctx.Tx) {
		if since := must[*time.Time](t)(schema.OldestWaiting(ctx, tx)); since != nil {
			t.Errorf("in an empty house a job waits since %s", since)
		}
		backlog(ctx, t, tx, 3)
		since := must[*time.Time](t)(schema.OldestWaiting(ctx, tx))
		if since == nil || at.Sub(*since).Round(time.Second) != time.Minute {
			t.Errorf("the oldest waits since %v, want %s", since, at.Add(-time.Minute))
		}
	})
}

// What is asked again and again may not read a long queue from end to end. JobCounts, which counts it, ends at MostCounted.
func TestALongQueueIsLookedAtThroughItsIndex(t *testing.T) {
	t.Parallel()
	db := databases.Open(t, dbctx.Postgres)
	err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
		backlog(ctx, t, tx, 20_000)
		must[int64](t)(tx.Exec(ctx, `ANALYZE river_job`))
		for name, look := range map[string]func() error{
			"OldestWaiting":     func() error { _, err := schema.OldestWaiting(ctx, tx); return err },
			"HasUnfinishedJobs": func() error { _, err := schema.HasUnfinishedJobs(ctx, tx, at); return err },
			"LockLine": func() error {
				s, err := schema.EnsureSource(ctx, tx, "form", at)
				if err != nil {
					return err
				}
				_, err = schema.LockLine(ctx, tx, s.ID, "bulk")
				return err
			},
			"UnknownKinds": func() error { _, err := schema.UnknownKinds(ctx, tx); return err },
			"WorkerStates": func() error { _, err := schema.WorkerStates(ctx, tx); return err },
		} {
			before := seqRead(ctx, t, tx)
			if err := look(); err != nil {
				return err
			}
			if read := seqRead(ctx, t, tx) - before; read > 1000 {
				t.Errorf("%s reads %d jobs of the table one after the other, want its index", name, read)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// seqRead is how many jobs this scope has read without an index.
func seqRead(ctx context.Context, t *testing.T, tx *dbctx.Tx) (n int64) {
	t.Helper()
	err := tx.QueryRow(ctx, `SELECT seq_tup_read FROM pg_stat_xact_user_tables WHERE relname = 'river_job'`).Scan(&n)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
