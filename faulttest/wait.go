package faulttest

import (
	"context"
	"database/sql"
	"time"
)

// unsettled is what still has to happen to what was taken in.
const unsettled = `SELECT (SELECT count(*) FROM intakes WHERE status = 'pending' AND id <= $1)
	+ (SELECT count(*) FROM deliveries WHERE state IN ('pending', 'calling', 'retrying') AND intake_id <= $1)`

const unfinished = `SELECT count(*) FROM river_job WHERE CAST(state AS text) IN ('available', 'running', 'retryable', 'scheduled')
	AND kind NOT IN ('cron_tick', 'purge')`

// LastIntake is the id of the latest submission that is stored; it waits until the database answers.
func LastIntake(ctx context.Context, db *sql.DB) (id int64, err error) {
	err = poll(ctx, func() bool {
		return db.QueryRowContext(ctx, `SELECT coalesce(max(id), 0) FROM intakes`).Scan(&id) == nil
	})
	return id, err
}

// Settled waits until every submission up to that one has its verdict, and was delivered.
func Settled(ctx context.Context, db *sql.DB, last int64) error {
	return poll(ctx, func() bool { return isZero(ctx, db, unsettled, last) })
}

// Finished waits until no job is left to do.
func Finished(ctx context.Context, db *sql.DB) error {
	return poll(ctx, func() bool { return isZero(ctx, db, unfinished) })
}

// Ticked waits until the tick of MakeDue has made its job.
func Ticked(ctx context.Context, db *sql.DB) error {
	return poll(ctx, func() bool {
		return isZero(ctx, db, `SELECT CASE WHEN EXISTS (SELECT 1 FROM river_job WHERE kind = 'purge') THEN 0 ELSE 1 END`)
	})
}

func isZero(ctx context.Context, db *sql.DB, query string, args ...any) bool {
	n := 1
	return db.QueryRowContext(ctx, query, args...).Scan(&n) == nil && n == 0
}

func poll(ctx context.Context, is func() bool) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return nil
}
