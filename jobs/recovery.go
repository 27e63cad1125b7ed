package jobs

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/schema"
)

// Suspect is the lane of jobs that were running in three crashes. One worker of the fleet works it, one job at a time: if
// that process dies as well, the job was it, and is parked; who only stood by gets through.
const Suspect = "suspect"

// Limits of recovery. A job of a process that was killed runs again after deadAfter and a beat at the latest.
const (
	beatEvery    = 5 * time.Second
	beatLimit    = 4 * time.Second // for one beat
	deadAfter    = 20 * time.Second
	suspectAfter = 3 // crashes
)

// StalledAfter is the silence of a worker after which something is wrong with it: two beats did not come.
const StalledAfter = 2*beatEvery + beatLimit

const whyParked = "its process died each time it ran, at last with this job alone on the suspect lane: look at what it does before you retry it"

// heart beats for this process, and looks after the jobs of processes whose heart has stopped.
//
// It does that only while the fleet has been beating without a gap for as long as one may be silent. When the database comes
// back after it was away, or the machines after they were stopped, everybody looks dead to whoever looks first.
type heart struct {
	q         *Queue
	self      schema.Worker
	every     time.Duration // between two beats
	deadAfter time.Duration // of silence
	eldest    bool          // of the processes that live
	lane      bool          // this process works the suspect lane
	strangers strangers
	leaving   atomic.Bool
	stop      context.CancelFunc
	done      chan struct{}
}

func newHeart(q *Queue) *heart {
	host, _ := os.Hostname()
	host = host[:min(len(host), 60)]
	id := fmt.Sprintf("%s_%d_%s", strings.ReplaceAll(host, ".", "_"), os.Getpid(), rand.Text()[:10])
	self := schema.Worker{ID: id, Host: host, PID: os.Getpid()}
	return &heart{q: q, self: self, every: beatEvery, deadAfter: deadAfter, strangers: strangers{every: unknownEvery, after: unknownAfter}}
}

// start goes on beating until end. The first beat has arrived before.
func (h *heart) start() {
	ctx, cancel := context.WithCancel(context.Background())
	h.leaving.Store(false)
	h.stop, h.done = cancel, make(chan struct{}) // a queue that was stopped may start again
	go h.run(ctx, h.done)
}

func (h *heart) run(ctx context.Context, done chan<- struct{}) {
	defer close(done)
	tick := time.NewTicker(h.every)
	defer tick.Stop()
	for {
		if err := h.keepLane(ctx); err != nil && ctx.Err() == nil {
			h.q.options.Logger.Warn("the suspect lane does not open or close", "error", err)
		}
		if err := h.parkUnknown(ctx); err != nil && ctx.Err() == nil {
			h.q.options.Logger.Warn("kinds of job that nobody knows could not be looked for", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := h.beat(ctx); err != nil && ctx.Err() == nil {
			h.q.options.Logger.Warn("the heartbeat did not arrive", "error", err)
		}
	}
}

// leave keeps the lane as it is from now on: River changes no lanes while it stops, and would hold up the beats until then.
func (h *heart) leave() { h.leaving.Store(true) }

// end takes this process off the list, behind its last job.
func (h *heart) end(ctx context.Context) error {
	h.stop()
	select {
	case <-h.done:
	case <-ctx.Done():
	}
	return h.remove(ctx)
}

// remove takes this process off the list. Jobs that are its own still, since they do not end or because what became of them
// could not be written down, are available to others in the same moment.
func (h *heart) remove(ctx context.Context) error {
	return dbctx.Run(ctx, h.q.db, func(ctx context.Context, tx *dbctx.Tx) error {
		left, err := schema.ReleaseJobs(ctx, tx, h.self.ID)
		if len(left) > 0 {
			h.q.options.Logger.Warn("jobs were left behind and go on elsewhere", "jobs", left)
		}
		schema.RemoveWorker(tx, h.self.ID)
		return err
	}, dbctx.Vital())
}

// beat writes that this process lives, gives the jobs of dead ones back, and learns who is the eldest.
func (h *heart) beat(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, beatLimit)
	defer cancel()
	return dbctx.Run(ctx, h.q.db, func(ctx context.Context, tx *dbctx.Tx) error {
		if err := schema.BeatWorker(ctx, tx, h.self); err != nil {
			return err
		}
		if err := h.q.reclaim(ctx, tx, h.self.ID, h.deadAfter/4); err != nil {
			return err
		}
		steady, err := schema.BeatPulse(ctx, tx, h.deadAfter)
		if err == nil && steady {
			err = h.q.recover(ctx, tx, h.deadAfter)
		}
		if err != nil {
			return err
		}
		workers, err := schema.ListWorkers(ctx, tx)
		h.eldest = len(workers) > 0 && workers[0].ID == h.self.ID
		return err
	}, dbctx.Vital(), dbctx.Timeout(beatLimit)) // a process that is stopped in its beat must not hold up those of the others
}

// keepLane works the suspect lane while this process is the eldest.
func (h *heart) keepLane(ctx context.Context) error {
	if h.eldest == h.lane || h.leaving.Load() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, beatLimit)
	defer cancel()
	if err := h.q.engine.lane(ctx, Suspect, h.eldest); err != nil {
		return err
	}
	h.lane = h.eldest
	return nil
}

// recover gives the jobs of dead processes back to the queue. Their effects are fenced, so a process that was only stalled
// and wakes up changes nothing.
func (q *Queue) recover(ctx context.Context, tx *dbctx.Tx, silent time.Duration) error {
	dead, err := schema.BuryWorkers(ctx, tx, silent)
	if err != nil || len(dead) == 0 {
		return err
	}
	orphans, err := schema.OrphanJobs(ctx, tx, dead)
	if err != nil {
		return err
	}
	back, suspects, parked := sortOrphans(orphans)
	schema.RequeueJobs(tx, dead, back, "")
	schema.SuspectJobs(tx, dead, suspects, Suspect)
	schema.ParkJobs(tx, dead, parked, whyParked, q.now())
	tx.AfterCommit(func() {
		q.options.Logger.Warn("workers died, their jobs go on", "workers", dead, "requeued", len(back), "suspect", suspects, "parked", parked)
	})
	return nil
}

func sortOrphans(orphans []schema.OrphanedJob) (back, suspects, parked []int64) {
	for _, j := range orphans {
		switch {
		case j.Queue == Suspect:
			parked = append(parked, j.ID)
		case j.Crashes >= suspectAfter:
			suspects = append(suspects, j.ID)
		default:
			back = append(back, j.ID)
		}
	}
	return back, suspects, parked
}
