package schema

import (
	"context"
	"time"

	"github.com/leadmill/leadmill/dbctx"
)

// River's tables, read for figures. Jobs are written in three places: river_insert.go adds one, workers.go gives those of dead
// processes back and parks what kills, dead_letters.go gives failed ones another chance.

// JobCount is how many jobs of a queue are in a state.
type JobCount struct {
	Queue string `json:"queue"`
	State string `json:"state"`
	Count int64  `json:"count"`
}

// JobCounts counts the jobs by queue and state.
func JobCounts(ctx context.Context, tx *dbctx.Tx) ([]JobCount, error) {
	return dbctx.All(ctx, tx, func(row dbctx.Scanner) (c JobCount, err error) {
		return c, row.Scan(&c.Queue, &c.State, &c.Count)
	}, jobCounts.on(tx))
}

var jobCounts = both(`SELECT queue, state::text, count(*) FROM river_job GROUP BY queue, state ORDER BY queue, state`)

// OldestWaiting returns since when the oldest job that may run has waited; nil if none does.
func OldestWaiting(ctx context.Context, tx *dbctx.Tx) (*time.Time, error) {
	var at *time.Time
	err := tx.QueryRow(ctx, `SELECT scheduled_at FROM river_job WHERE state = 'available'
		ORDER BY scheduled_at LIMIT 1`).Scan(&at)
	if err == dbctx.ErrNoRows {
		return nil, nil
	}
	return at, err
}

// UnfinishedJobs counts jobs that run or may run by then.
func UnfinishedJobs(ctx context.Context, tx *dbctx.Tx, by time.Time) (n int64, err error) {
	err = tx.QueryRow(ctx, `SELECT count(*) FROM river_job
		WHERE state IN ('available', 'running') OR state IN ('retryable', 'scheduled') AND scheduled_at <= $1`, by).Scan(&n)
	return n, err
}
