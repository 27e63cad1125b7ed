package jobs

import (
	"context"
	"testing"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/schema"
)

func TestAReaderThatGetsOnIsNoSuspectHoweverOftenItsProcessDied(t *testing.T) {
	poisonDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		q := newQueue(db, Options{})
		q.register()
		if err := q.connect(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(q.Close)
		enqueue(t, q, ImportFile{ImportID: 1})
		inTest(t, db, func(ctx context.Context, tx *dbctx.Tx) error {
			var job int64
			if err := tx.QueryRow(ctx, `UPDATE river_job SET queue = 'suspect' WHERE kind = 'import_file' RETURNING id`).Scan(&job); err != nil {
				return err
			}
			tx.Queue(`INSERT INTO job_crashes (job_id, crashes, queue) VALUES ($1, 3, 'files'), ($2, 1, '')`, job, job+1)
			schema.ForgetCrash(tx, job)
			schema.ForgetCrash(tx, job+2)
			var queue string
			var left int64
			err := tx.QueryRow(ctx, `SELECT (SELECT queue FROM river_job WHERE id = $1), (SELECT sum(job_id) FROM job_crashes)`, job).Scan(&queue, &left)
			if queue != Files || left != job+1 {
				t.Errorf("the job is in %s and the crash of job %d is counted, want it in files and only the other's, %d", queue, left, job+1)
			}
			return err
		})
	})
}
