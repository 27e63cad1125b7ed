package jobs

import (
	"context"
	"testing"
	"time"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/schema"
)

// When the database goes away behind a job's commit, the queue gives up writing that it is completed; when it goes away before
// the answer to a fetch, nobody knows of the job.
func TestAJobThatIsSaidToRunAndDoesNotIsGivenBack(t *testing.T) {
	recoveryDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		q := process(t, db, 2, func(context.Context, int64) error { return nil })
		stopLater(t, q)
		enqueue(t, q, crash{No: 1})
		await(t, func() bool { return worked(t, db, 1) == 1 && completed(t, db) == 1 })
		execute(t, db, `UPDATE river_job SET state = 'running', finalized_at = NULL WHERE kind = 'crash'`)
		await(t, func() bool { return completed(t, db) == 1 })
		if n := worked(t, db, 1); n != 1 {
			t.Errorf("the job left %d events, want 1", n)
		}
	})
}

func TestAJobIsLostOnlyAfterAWhile(t *testing.T) {
	t.Parallel()
	var r running
	end := r.begin(1)
	at := time.Unix(0, 0)
	look := func(after time.Duration, said ...int64) []int64 {
		at = at.Add(after)
		return r.lost(said, at, 5*time.Second)
	}
	for step, lost := range [][]int64{
		look(0, 1, 3),             // 3 may be about to begin
		look(4*time.Second, 1, 3), //
		look(4 * time.Second),     // and has ended
		look(4*time.Second, 1, 3), // it is another run
		look(4*time.Second, 1, 3),
	} {
		if len(lost) > 0 {
			t.Errorf("look %d: %v are lost", step, lost)
		}
	}
	if lost := look(time.Second, 1, 3); len(lost) != 1 || lost[0] != 3 {
		t.Errorf("%v are lost, want 3", lost)
	}
	end()
	if lost := look(time.Second, 1); len(lost) != 0 {
		t.Errorf("%v are lost, and have just ended", lost)
	}
	if lost := look(5*time.Second, 1); len(lost) != 1 {
		t.Errorf("%v are lost, want the one that has ended", lost)
	}
}

func completed(t *testing.T, db *dbctx.DB) (n int) {
	t.Helper()
	err := dbctx.Run(context.Background(), db, func(ctx context.Context, tx *dbctx.Tx) error {
		return tx.QueryRow(ctx, `SELECT count(*) FROM river_job WHERE kind = 'crash' AND state = 'completed'`).Scan(&n)
	}, dbctx.ReadOnly())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func execute(t *testing.T, db *dbctx.DB, text string) {
	t.Helper()
	err := dbctx.Run(context.Background(), db, func(_ context.Context, tx *dbctx.Tx) error {
		tx.Queue(text)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Between the look and the change another worker may have got the job.
func TestAJobIsTakenOnlyFromTheWorkerThatWasFoundToHaveIt(t *testing.T) {
	recoveryDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		q := newQueue(db, Options{})
		q.register()
		if err := q.connect(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(q.Close)
		enqueue(t, q, Purge{})
		by := `'{other}'`
		if db.Dialect() == dbctx.SQLite {
			by = `jsonb('["other"]')`
		}
		execute(t, db, `UPDATE river_job SET state = 'running', attempt = 1, attempted_by = `+by)
		for _, change := range []func(tx *dbctx.Tx, worker string, id int64){
			func(tx *dbctx.Tx, worker string, id int64) { schema.RequeueJobs(tx, []string{worker}, []int64{id}, "") },
			func(tx *dbctx.Tx, worker string, id int64) {
				schema.SuspectJobs(tx, []string{worker}, []int64{id}, Suspect)
			},
			func(tx *dbctx.Tx, worker string, id int64) {
				schema.ParkJobs(tx, []string{worker}, []int64{id}, "why", q.now())
			},
		} {
			execute(t, db, `UPDATE river_job SET state = 'running', finalized_at = NULL`)
			for _, worker := range []string{"me", "other"} {
				var state string
				inTest(t, db, func(ctx context.Context, tx *dbctx.Tx) error {
					var id int64
					if err := tx.QueryRow(ctx, `SELECT id FROM river_job`).Scan(&id); err != nil {
						return err
					}
					change(tx, worker, id)
					return tx.QueryRow(ctx, `SELECT CAST(state AS text) FROM river_job`).Scan(&state)
				})
				if kept := state == "running"; kept != (worker == "me") {
					t.Errorf("a job of other is %s after it was taken from %s", state, worker)
				}
			}
		}
	})
}
