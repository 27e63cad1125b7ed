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
