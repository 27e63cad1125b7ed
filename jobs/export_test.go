package jobs

import (
	"context"
	"fmt"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/schema"
)

// FailedJobs returns the failed jobs in a scope of its own.
func (q *Queue) FailedJobs(ctx context.Context, limit int) (failed []schema.FailedJob, err error) {
	err = dbctx.Run(ctx, q.db, func(ctx context.Context, tx *dbctx.Tx) (err error) {
		failed, err = schema.FailedJobs(ctx, tx, schema.JobQuery{Limit: limit})
		return err
	}, dbctx.ReadOnly())
	return failed, err
}

// RetryJob retries a failed job in a scope of its own.
func (q *Queue) RetryJob(ctx context.Context, id int64) error {
	return dbctx.Run(ctx, q.db, func(ctx context.Context, tx *dbctx.Tx) error {
		retried, err := schema.RetryJobs(ctx, tx, []int64{id})
		if err == nil && len(retried) == 0 {
			err = fmt.Errorf("failed job %d: %w", id, schema.ErrNotFound)
		}
		return err
	})
}

// ReadFile works import_file until ctx ends, as a worker does.
func (q *Queue) ReadFile(ctx context.Context, importID int64) error {
	return importFile(ctx, q, Job{ID: 1, Attempt: 1}, ImportFile{ImportID: importID})
}

// UndoImport works revert_import until ctx ends, as a worker does.
func (q *Queue) UndoImport(ctx context.Context, importID int64) error {
	return revertImport(ctx, q, Job{ID: 1, Attempt: 1}, RevertImport{ImportID: importID})
}

// ChunksAhead is how far a reader goes ahead of those who process.
const ChunksAhead = chunksAhead
