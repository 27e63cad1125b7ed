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
	Count int64  `json:"count"` // MostCounted stands for that many or more
}

// MostCounted bounds what it costs to look at a long queue.
const MostCounted = 50_000

// JobCounts counts the jobs by queue and state.
func JobCounts(ctx context.Context, tx *dbctx.Tx) ([]JobCount, error) {
	return dbctx.All(ctx, tx, func(row dbctx.Scanner) (c JobCount, err error) {
		return c, row.Scan(&c.Queue, &c.State, &c.Count)
	}, jobCounts.on(tx), MostCounted)
}

// queuesOf finds which queues hold jobs in some states. It leaps through the index that River fetches by, for there are a few
// queues and perhaps a million jobs in each.
func queuesOf(states string) string {
	return `WITH RECURSIVE q (state, queue) AS (
		SELECT s.state, (SELECT min(j.queue) FROM river_job j WHERE j.state = s.state) FROM (` + states + `) AS s
		UNION ALL SELECT q.state, (SELECT min(j.queue) FROM river_job j WHERE j.state = q.state AND j.queue > q.queue)
			FROM q WHERE q.queue IS NOT NULL)
	`
}

var allStates = text{
	postgres: `SELECT unnest(enum_range(NULL::river_job_state)) AS state`,
	sqlite: `SELECT 'available' AS state UNION ALL SELECT 'cancelled' UNION ALL SELECT 'completed' UNION ALL SELECT 'discarded'
		UNION ALL SELECT 'pending' UNION ALL SELECT 'retryable' UNION ALL SELECT 'running' UNION ALL SELECT 'scheduled'`,
}

var jobCounts = text{postgres: queuesOf(allStates.postgres), sqlite: queuesOf(allStates.sqlite)}.with(both(`
	SELECT q.queue, q.state::text, (SELECT count(*) FROM
		(SELECT 1 FROM river_job j WHERE j.state = q.state AND j.queue = q.queue LIMIT $1) AS n)
	FROM q WHERE q.queue IS NOT NULL ORDER BY q.queue, q.state`))

// OldestWaiting returns since when a job has waited that may run: the oldest of those that are the first in their queues; nil
// if none does. A job with a turn in the past waits since it was made, one that is tried again since its time came.
func OldestWaiting(ctx context.Context, tx *dbctx.Tx) (at *time.Time, err error) {
	err = tx.QueryRow(ctx, oldestWaiting.on(tx)).Scan(&at)
	return at, err
}

var oldestWaiting = text{
	postgres: queuesOf(`SELECT 'available'::river_job_state AS state`),
	sqlite:   queuesOf(`SELECT 'available' AS state`),
}.with(both(`
	SELECT min((SELECT CASE WHEN j.scheduled_at > j.created_at THEN j.scheduled_at ELSE j.created_at END
		FROM river_job j WHERE j.state = q.state AND j.queue = q.queue ORDER BY j.priority, j.scheduled_at, j.id LIMIT 1))
	FROM q WHERE q.queue IS NOT NULL`))

// HasUnfinishedJobs says whether a job runs, or may run by then.
func HasUnfinishedJobs(ctx context.Context, tx *dbctx.Tx, by time.Time) (has bool, err error) {
	err = tx.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM river_job WHERE state = 'available')
		OR EXISTS (SELECT 1 FROM river_job WHERE state = 'running')
		OR EXISTS (SELECT 1 FROM river_job WHERE state IN ('retryable', 'scheduled') AND scheduled_at <= $1)`, by).Scan(&has)
	return has, err
}
