package schema

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/leadmill/leadmill/dbctx"
)

// FailedStates are the states of jobs that did not work out: one waits for another attempt, was given up, or was cancelled.
var FailedStates = []string{"retryable", "discarded", "cancelled"}

var failedStates = `'` + strings.Join(FailedStates, `', '`) + `'`

// FailedJob is a job that waits for another attempt or was given up.
type FailedJob struct {
	ID          int64
	Kind        string
	Queue       string
	State       string // one of FailedStates
	Attempt     int
	MaxAttempts int
	Error       string    // of the last attempt
	At          time.Time // the next attempt if it waits for one, else when it was given up
}

// JobQuery narrows a list of failed jobs; zero values do not narrow.
type JobQuery struct {
	Kind, Queue string
	State       string // one of FailedStates; nothing is in another
	Error       string // a part of the last attempt's error; capitals or not
	Before      int64  // only ids below this one: the cursor
	Limit       int    // 0 means 50
}

// where leads through the index by state, of which failed jobs are the smallest part.
func (q JobQuery) where(d dbctx.Dialect) (w where) {
	w.add(true, `state IN (`+failedStates+`)`)
	w.add(q.State != "", `CAST(state AS text) = $%d`, q.State)
	w.add(q.Kind != "", `kind = $%d`, q.Kind)
	w.add(q.Queue != "", `queue = $%d`, q.Queue)
	position := `strpos`
	if d == dbctx.SQLite {
		position = `instr`
	}
	w.add(q.Error != "", position+`(lower(`+lastError(d)+`), lower($%d)) > 0`, q.Error)
	w.add(q.Before != 0, `id < $%d`, q.Before)
	return w
}

func lastError(d dbctx.Dialect) string {
	if d == dbctx.SQLite {
		return `coalesce(json_extract(errors, '$[#-1].error'), '')`
	}
	return `coalesce(errors[array_upper(errors, 1)] ->> 'error', '')`
}

// FailedJobs returns the failed jobs that match, newest first.
func FailedJobs(ctx context.Context, tx *dbctx.Tx, q JobQuery) ([]FailedJob, error) {
	w := q.where(tx.Dialect())
	return dbctx.All(ctx, tx, func(row dbctx.Scanner) (j FailedJob, err error) {
		var finalized *time.Time
		err = row.Scan(&j.ID, &j.Kind, &j.Queue, &j.State, &j.Attempt, &j.MaxAttempts, &j.Error, &j.At, &finalized)
		if finalized != nil {
			j.At = *finalized
		}
		return j, err
	}, `SELECT id, kind, queue, CAST(state AS text), attempt, max_attempts, `+lastError(tx.Dialect())+`, scheduled_at, finalized_at
		FROM river_job `+w.sql()+` ORDER BY id DESC `+limit(q.Limit), w.args...)
}

// CountFailedJobs counts all that match, whatever the limit.
func CountFailedJobs(ctx context.Context, tx *dbctx.Tx, q JobQuery) (n int64, err error) {
	w := q.where(tx.Dialect())
	return n, tx.QueryRow(ctx, `SELECT count(*) FROM river_job `+w.sql(), w.args...).Scan(&n)
}

// RetryJobs makes those of the jobs that have failed available again, in the queue they were made for, with an attempt at
// least before them and no crash behind them, and returns their ids. Of two people who retry a job at once one gets it.
func RetryJobs(ctx context.Context, tx *dbctx.Tx, ids []int64) ([]int64, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	now, _ := dbNow(tx.Dialect()) // the clock by which jobs are fetched
	forget := `metadata - 'cancel_attempted_at'`
	if tx.Dialect() == dbctx.SQLite {
		forget = `jsonb_remove(metadata, '$.cancel_attempted_at')`
	}
	retried, err := dbctx.All(ctx, tx, scanID,
		retryJobs(forget, now).on(tx), idSet(ids))
	if len(retried) > 0 {
		tx.Queue(forgetCrashesOf.on(tx), idSet(retried))
	}
	return retried, err
}

func retryJobs(metadata, now string) text {
	return both(`UPDATE river_job SET state = 'available', scheduled_at = ` + now + `, finalized_at = NULL, metadata = ` + metadata + `,
			max_attempts = CASE WHEN attempt >= max_attempts THEN attempt + 1 ELSE max_attempts END,
			queue = coalesce((SELECT c.queue FROM job_crashes c WHERE c.job_id = river_job.id AND c.queue <> ''), queue)
		WHERE id IN (SELECT r.id FROM {r: id bigint}) AND state::text IN (` + failedStates + `) RETURNING id`)
}

var forgetCrashesOf = both(`DELETE FROM job_crashes WHERE job_id IN (SELECT r.id FROM {r: id bigint})`)

// Job is one job of any state, with all that is known of it.
type Job struct {
	ID          int64           `json:"id,string"`
	Kind        string          `json:"kind"`
	Queue       string          `json:"queue"`
	State       string          `json:"state"`
	Attempt     int             `json:"attempt"`
	MaxAttempts int             `json:"max_attempts"`
	Crashes     int             `json:"crashes"` // how often it was running when its process died
	CreatedAt   time.Time       `json:"created_at"`
	ScheduledAt time.Time       `json:"scheduled_at"`
	AttemptedAt *time.Time      `json:"attempted_at"`
	FinalizedAt *time.Time      `json:"finalized_at"`
	Worker      string          `json:"worker"` // that attempted it last
	Args        json.RawMessage `json:"args"`
	Errors      []JobError      `json:"errors"` // oldest first
}

// JobError is why an attempt failed, or why the job was parked.
type JobError struct {
	At      time.Time `json:"at"`
	Attempt int       `json:"attempt"`
	Error   string    `json:"error"`
	Trace   string    `json:"trace"` // of a panic
}

// GetJob returns a job; ErrNotFound if there is none with this id.
func GetJob(ctx context.Context, tx *dbctx.Tx, id int64) (j Job, err error) {
	var args, errors string
	err = tx.QueryRow(ctx, getJob.on(tx), id).Scan(&j.ID, &j.Kind, &j.Queue, &j.State, &j.Attempt, &j.MaxAttempts, &j.Crashes,
		&j.CreatedAt, &j.ScheduledAt, &j.AttemptedAt, &j.FinalizedAt, &j.Worker, &args, &errors)
	if err != nil {
		return j, notFound(err, "job", id)
	}
	j.Args = json.RawMessage(args)
	if err := json.Unmarshal([]byte(errors), &j.Errors); err != nil {
		return j, fmt.Errorf("job %d: its errors cannot be read: %w", id, err)
	}
	return j, nil
}

const jobColumns = `SELECT id, kind, queue, CAST(state AS text), attempt, max_attempts,
	coalesce((SELECT c.crashes FROM job_crashes c WHERE c.job_id = river_job.id), 0),
	created_at, scheduled_at, attempted_at, finalized_at, `

var getJob = text{
	postgres: jobColumns + `coalesce(attempted_by[array_upper(attempted_by, 1)], ''), CAST(args AS text),
		coalesce(CAST(to_jsonb(errors) AS text), '[]') FROM river_job WHERE id = $1`,
	sqlite: jobColumns + `coalesce(json_extract(attempted_by, '$[#-1]'), ''), json(args), coalesce(json(errors), '[]')
		FROM river_job WHERE id = $1`,
}
