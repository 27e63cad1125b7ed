package schema

import (
	"context"
	"strings"
	"time"

	"github.com/leadmill/leadmill/dbctx"
)

// Worker is a process that works jobs. Its times are the database's.
type Worker struct {
	ID        string // by which river_job.attempted_by knows it
	Host      string
	PID       int
	StartedAt time.Time
	SeenAt    time.Time
	Kinds     []string // of job that its release knows; written, not read
}

// dbNow is the clock of the database, which all processes share, and agoOf a time before it, in seconds.
func dbNow(d dbctx.Dialect) (now, ago string) {
	if d == dbctx.SQLite {
		const form = `strftime('%Y-%m-%d %H:%M:%f000+00:00', 'now'`
		return form + `)`, form + `, '-' || $1 || ' seconds')`
	}
	return `clock_timestamp()`, `clock_timestamp() - $1::double precision * interval '1 second'`
}

// BeatWorker writes that a worker lives, and makes its row if there is none.
func BeatWorker(ctx context.Context, tx *dbctx.Tx, w Worker) error {
	now, _ := dbNow(tx.Dialect())
	_, err := tx.Exec(ctx, `INSERT INTO workers (id, host, pid, started_at, seen_at, kinds) VALUES ($1, $2, $3, `+now+`, `+now+`, $4)
		ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at`, w.ID, w.Host, w.PID, set(w.Kinds))
	return err
}

// BeatPulse notes a beat of the fleet and says whether its beats have come without a gap for that long: some worker was
// seen, and the database was there. A gap is half of that, and begins it anew.
func BeatPulse(ctx context.Context, tx *dbctx.Tx, long time.Duration) (steady bool, err error) {
	now, ago := dbNow(tx.Dialect())
	gap := long / 2
	err = tx.QueryRow(ctx, `INSERT INTO pulse (one, last_at, steady_since) VALUES (true, `+now+`, `+now+`)
		ON CONFLICT (one) DO UPDATE SET last_at = excluded.last_at,
			steady_since = CASE WHEN pulse.last_at < `+ago+` THEN excluded.last_at ELSE pulse.steady_since END
		RETURNING steady_since < `+strings.ReplaceAll(ago, "$1", "$2"), gap.Seconds(), long.Seconds()).Scan(&steady)
	return steady, err
}

// RemoveWorker removes a worker that has ended well.
func RemoveWorker(tx *dbctx.Tx, id string) { tx.Queue(`DELETE FROM workers WHERE id = $1`, id) }

// ListWorkers returns the workers, the eldest first.
func ListWorkers(ctx context.Context, tx *dbctx.Tx) ([]Worker, error) {
	return dbctx.All(ctx, tx, func(row dbctx.Scanner) (w Worker, err error) {
		return w, row.Scan(&w.ID, &w.Host, &w.PID, &w.StartedAt, &w.SeenAt)
	}, `SELECT id, host, pid, started_at, seen_at FROM workers ORDER BY started_at, id`)
}

func scanText(row dbctx.Scanner) (s string, err error) { return s, row.Scan(&s) }

// BuryWorkers removes the workers that were not seen for that long and returns their ids. Of two processes that bury at
// the same time one gets each.
func BuryWorkers(ctx context.Context, tx *dbctx.Tx, silent time.Duration) ([]string, error) {
	_, ago := dbNow(tx.Dialect())
	return dbctx.All(ctx, tx, scanText,
		`DELETE FROM workers WHERE seen_at < `+ago+` RETURNING id`, silent.Seconds())
}

// RunningJobs are the jobs that a worker runs, as far as the queue knows.
func RunningJobs(ctx context.Context, tx *dbctx.Tx, worker string) ([]int64, error) {
	return dbctx.All(ctx, tx, scanID, runningJobs.on(tx), set([]string{worker}))
}

// OrphanedJob is a job that was running when its process died.
type OrphanedJob struct {
	ID      int64
	Queue   string
	Crashes int // how often that has happened to it, this time included
}

// OrphanJobs counts the crash of each job that those workers were running, and returns the jobs.
func OrphanJobs(ctx context.Context, tx *dbctx.Tx, workers []string) ([]OrphanedJob, error) {
	names := set(workers)
	if _, err := tx.Exec(ctx, countCrashes.on(tx), names); err != nil {
		return nil, err
	}
	return dbctx.All(ctx, tx, func(row dbctx.Scanner) (j OrphanedJob, err error) {
		return j, row.Scan(&j.ID, &j.Queue, &j.Crashes)
	}, orphanJobs.on(tx), names)
}

// Both lists are few: the workers that died, and what ran on them.
var (
	orphans = text{
		postgres: ` FROM river_job j JOIN jsonb_array_elements_text($1::jsonb) AS w (id) ON w.id = j.attempted_by[array_upper(j.attempted_by, 1)]
			WHERE j.state = 'running'`,
		sqlite: ` FROM river_job j JOIN json_each($1) AS w ON w.value = json_extract(j.attempted_by, '$[#-1]')
			WHERE j.state = 'running'`,
	}
	runningJobs  = both(`SELECT j.id`).with(orphans)
	countCrashes = both(`INSERT INTO job_crashes (job_id, crashes) SELECT j.id, 1`).with(orphans).
			with(both(` ON CONFLICT (job_id) DO UPDATE SET crashes = job_crashes.crashes + 1`))
	orphanJobs = both(`SELECT j.id, j.queue, (SELECT c.crashes FROM job_crashes c WHERE c.job_id = j.id)`).with(orphans).with(both(` ORDER BY j.id`))
)

// RequeueJobs makes jobs that those workers run available again, in the given queue or in their own if it is "", and gives
// the attempt back. A job that has ended meanwhile, or runs elsewhere, is left alone.
func RequeueJobs(tx *dbctx.Tx, workers []string, ids []int64, queue string) {
	if len(ids) > 0 {
		tx.Queue(requeueJobs.on(tx), idSet(ids), set(workers), queue)
	}
}

var requeueJobs = both(release + `, queue = CASE WHEN $3 = '' THEN queue ELSE $3 END
	WHERE state = 'running' AND id IN (SELECT r.id FROM {r: id bigint})`).with(runBy("$2"))

const release = `UPDATE river_job SET state = 'available', attempt = CASE WHEN attempt > 0 THEN attempt - 1 ELSE 0 END`

// runBy narrows jobs to those that were last attempted by workers of a set.
func runBy(workers string) text {
	return text{
		postgres: ` AND attempted_by[array_upper(attempted_by, 1)] IN (SELECT jsonb_array_elements_text(` + workers + `::jsonb))`,
		sqlite:   ` AND json_extract(attempted_by, '$[#-1]') IN (SELECT value FROM json_each(` + workers + `))`,
	}
}

// SuspectJobs is RequeueJobs into the lane of suspects; it remembers the queue that each was in.
func SuspectJobs(tx *dbctx.Tx, workers []string, ids []int64, lane string) {
	if len(ids) > 0 {
		tx.Queue(rememberQueues.on(tx), idSet(ids))
		RequeueJobs(tx, workers, ids, lane)
	}
}

var rememberQueues = both(`UPDATE job_crashes SET queue = (SELECT j.queue FROM river_job j WHERE j.id = job_crashes.job_id)
	WHERE queue = '' AND job_id IN (SELECT r.id FROM {r: id bigint})`)

// ReleaseJobs makes the jobs that a worker still runs available again, gives the attempt back and returns their ids.
func ReleaseJobs(ctx context.Context, tx *dbctx.Tx, worker string) ([]int64, error) {
	return dbctx.All(ctx, tx, scanID, releaseJobs.on(tx), set([]string{worker}))
}

var releaseJobs = both(release + ` WHERE state = 'running'`).with(runBy("$1")).with(both(` RETURNING id`))

// ParkJobs gives jobs that those workers run up for a reason, which stands behind their other errors.
func ParkJobs(tx *dbctx.Tx, workers []string, ids []int64, reason string, now time.Time) {
	if len(ids) > 0 {
		tx.Queue(parkJobs.on(tx), idSet(ids), reason, now, set(workers))
	}
}

// ParkWaiting gives up to limit jobs up that wait, have waited for that long, and are of one kind. It returns their ids.
func ParkWaiting(ctx context.Context, tx *dbctx.Tx, kind string, waited time.Duration, reason string, now time.Time, limit int) ([]int64, error) {
	_, ago := dbNow(tx.Dialect())
	return dbctx.All(ctx, tx, scanID,
		park.on(tx)+`WHERE state = 'available' AND id IN (SELECT id FROM river_job
			WHERE state = 'available' AND kind = $4 AND scheduled_at <= `+ago+` ORDER BY id LIMIT $5) RETURNING id`,
		waited.Seconds(), reason, now, kind, limit)
}

// park takes the reason as $2 and the time as $3.
var (
	park = text{
		postgres: `UPDATE river_job SET state = 'discarded', finalized_at = $3, errors = array_append(errors,
			jsonb_build_object('at', $3::timestamptz, 'attempt', attempt, 'error', $2::text, 'trace', '')) `,
		sqlite: `UPDATE river_job SET state = 'discarded', finalized_at = $3, errors = jsonb_insert(coalesce(errors, jsonb('[]')), '$[#]',
			json_object('at', replace($3, ' ', 'T'), 'attempt', attempt, 'error', $2, 'trace', '')) `,
	}
	parkJobs = park.with(both(`WHERE state = 'running' AND id IN (SELECT r.id FROM {r: id bigint})`)).with(runBy("$4"))
)

// UnknownKinds are the kinds of jobs that wait and that no worker on the list knows. While there is no worker, or one of a
// release that does not say what it knows, there are none.
func UnknownKinds(ctx context.Context, tx *dbctx.Tx) ([]string, error) {
	return dbctx.All(ctx, tx, scanText, unknownKinds.on(tx))
}

// The kinds are found by leaping through their index: there are a few, and many jobs of each.
const waitingKinds = `WITH RECURSIVE k(kind) AS (
		SELECT min(kind) FROM river_job
		UNION ALL SELECT (SELECT min(j.kind) FROM river_job j WHERE j.kind > k.kind) FROM k WHERE k.kind IS NOT NULL)
	SELECT k.kind FROM k WHERE k.kind IS NOT NULL AND EXISTS (SELECT 1 FROM workers)
		AND NOT EXISTS (SELECT 1 FROM workers w WHERE w.kinds IS NULL OR `

var unknownKinds = text{
	postgres: waitingKinds + `jsonb_exists(w.kinds, k.kind))` + someWait,
	sqlite:   waitingKinds + `EXISTS (SELECT 1 FROM json_each(w.kinds) n WHERE n.value = k.kind))` + someWait,
}

const someWait = ` AND EXISTS (SELECT 1 FROM river_job j WHERE j.state = 'available' AND j.kind = k.kind)`

// WorkerState is a worker and what it does.
type WorkerState struct {
	Worker
	Silent  time.Duration // since it was seen, by the database's clock
	Running int           // jobs
}

// WorkerStates returns the workers, the eldest first.
func WorkerStates(ctx context.Context, tx *dbctx.Tx) ([]WorkerState, error) {
	return dbctx.All(ctx, tx, func(row dbctx.Scanner) (w WorkerState, err error) {
		var silent float64
		err = row.Scan(&w.ID, &w.Host, &w.PID, &w.StartedAt, &w.SeenAt, &silent, &w.Running)
		w.Silent = time.Duration(max(0, silent) * float64(time.Second))
		return w, err
	}, workerStates.on(tx))
}

var workerStates = text{
	postgres: `SELECT w.id, w.host, w.pid, w.started_at, w.seen_at, CAST(extract(epoch FROM clock_timestamp() - w.seen_at) AS double precision), count(j.id)
		FROM workers w LEFT JOIN river_job j ON j.state = 'running' AND j.attempted_by[array_upper(j.attempted_by, 1)] = w.id
		GROUP BY w.id ORDER BY w.started_at, w.id`,
	sqlite: `SELECT w.id, w.host, w.pid, w.started_at, w.seen_at, (julianday('now') - julianday(w.seen_at)) * 86400.0, count(j.id)
		FROM workers w LEFT JOIN river_job j ON j.state = 'running' AND json_extract(j.attempted_by, '$[#-1]') = w.id
		GROUP BY w.id ORDER BY w.started_at, w.id`,
}

// ForgetCrashes removes the counts of jobs that are gone.
func ForgetCrashes(tx *dbctx.Tx) {
	tx.Queue(`DELETE FROM job_crashes WHERE NOT EXISTS (SELECT 1 FROM river_job j WHERE j.id = job_crashes.job_id)`)
}

// ForgetCrash lets a job that has got on since its last crash start anew: it is not counted any more, and where the job was
// suspected it goes back into its queue. What killed its processes was not this job, or it has got past that.
func ForgetCrash(tx *dbctx.Tx, jobID int64) {
	tx.Queue(`UPDATE river_job SET queue = (SELECT c.queue FROM job_crashes c WHERE c.job_id = river_job.id)
		WHERE id = $1 AND EXISTS (SELECT 1 FROM job_crashes c WHERE c.job_id = river_job.id AND c.queue <> '')`, jobID)
	tx.Queue(`DELETE FROM job_crashes WHERE job_id = $1`, jobID)
}
