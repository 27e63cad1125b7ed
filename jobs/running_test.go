package jobs

import (
	"context"
	"testing"

	"github.com/leadmill/leadmill/dbctx"
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

func TestAJobIsLostOnlyAtTheSecondLook(t *testing.T) {
	t.Parallel()
	var r running
	end := r.begin(1)
	for look, want := range []int{0, 1, 0, 1} { // 3 is lost at the second look, and again at the fourth
		if lost := r.lost([]int64{1, 3}); len(lost) != want || want == 1 && lost[0] != 3 {
			t.Errorf("look %d: %v are lost", look+1, lost)
		}
	}
	end()
	if lost := r.lost([]int64{1}); len(lost) != 0 {
		t.Errorf("%v are lost, and have just ended", lost)
	}
	if lost := r.lost([]int64{1}); len(lost) != 1 {
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
