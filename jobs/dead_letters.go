package jobs

import (
	"context"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/schema"
)

// Dead letters are jobs that were given up. They are shown with their reason and wait for a person, for ninety days; what
// a retry finds done already, it leaves as it is.

// retryStep is how many jobs are retried in one scope.
const retryStep = 1000

// RetryFailed retries all failed jobs that match, whatever the limit of the query, and returns how many were. What fails
// while it runs, or anew, is left alone. After an error n have been retried, and it can be called again.
func (q *Queue) RetryFailed(ctx context.Context, query schema.JobQuery) (n int, err error) {
	query.Limit = retryStep
	for err == nil {
		var found, retried int
		err = dbctx.Run(ctx, q.db, func(ctx context.Context, tx *dbctx.Tx) error {
			jobs, err := schema.FailedJobs(ctx, tx, query)
			if err != nil || len(jobs) == 0 {
				return err
			}
			ids := make([]int64, len(jobs))
			for i, j := range jobs {
				ids[i] = j.ID
			}
			found, query.Before = len(ids), ids[len(ids)-1]
			done, err := schema.RetryJobs(ctx, tx, ids)
			retried = len(done)
			return err
		})
		if err == nil {
			n += retried
		}
		if found < retryStep {
			break
		}
	}
	return n, err
}
