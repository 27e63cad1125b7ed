package jobs

import (
	"context"
	"sync"
	"time"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/schema"
)

// running knows which jobs this process really runs. The queue may think of more: when it could not write down that a job
// has ended, or did not get the answer that gave it one, it goes on as if nothing were missing.
type running struct {
	mu      sync.Mutex
	jobs    map[int64]int       // how often: one that was given away may come back to the process that still runs it
	doubted map[int64]time.Time // since when it is said to run here and does not, at every look
}

func (r *running) begin(id int64) (end func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.jobs == nil {
		r.jobs = map[int64]int{}
	}
	r.jobs[id]++
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.jobs[id]--; r.jobs[id] == 0 {
			delete(r.jobs, id)
		}
	}
}

// lost are the jobs that have been said to run here, and have not, for that long: one may be about to begin, or its end about to
// be written.
func (r *running) lost(said []int64, now time.Time, long time.Duration) (ids []int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	doubted := map[int64]time.Time{}
	for _, id := range said {
		if r.jobs[id] > 0 {
			continue
		}
		since, known := r.doubted[id]
		if !known {
			since = now
		}
		if now.Sub(since) >= long {
			ids = append(ids, id)
			continue
		}
		doubted[id] = since
	}
	r.doubted = doubted
	return ids
}

// reclaim gives back the jobs that this process is said to run and does not. If such a job has done its work, its fence lets it
// end at once.
func (q *Queue) reclaim(ctx context.Context, tx *dbctx.Tx, worker string, long time.Duration) error {
	said, err := schema.RunningJobs(ctx, tx, worker)
	if err != nil {
		return err
	}
	lost := q.running.lost(said, time.Now(), long)
	schema.RequeueJobs(tx, []string{worker}, lost, "")
	if len(lost) > 0 {
		tx.AfterCommit(func() { q.options.Logger.Warn("jobs whose end could not be written run again", "jobs", len(lost)) })
	}
	return nil
}
