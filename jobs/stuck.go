package jobs

import (
	"context"
	"errors"
	"time"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/schema"
)

// A job that does not end when its time is up, nor when it is told to, keeps its place, its connection and its locks: nothing
// in a process can take them away from it. So it is parked, at once and for a person, since it would do the same to each
// process it ran in; and the process drains and ends, which frees all the rest. Should the job end after all, its fence
// keeps whatever a retry would do from being done twice.

// ErrStuck: a job does not end, and keeps what it holds until the process ends.
var ErrStuck = errors.New("a job does not end and is parked: this process ends so that its supervisor starts another")

const whyStuck = "it did not end when its time was up, nor when it was told to, and its process had to be ended: look at what it waits for before you retry it"

const (
	overtime   = 5 * time.Second  // after its limit of time a job is looked at
	stuckAfter = 10 * time.Second // and then has as long to end. It counts from the look, since the process may have been stopped
)

// Stuck is closed when a job does not end. Stop the queue then, and end the process.
func (q *Queue) Stuck() <-chan struct{} { return q.stuck }

// overdue parks a job unless it ends soon; ctx ends with the job.
func (q *Queue) overdue(ctx context.Context, id int64, kind string) {
	enough := time.NewTimer(q.stuckAfter)
	defer enough.Stop()
	select {
	case <-ctx.Done():
		return
	case <-enough.C:
	}
	q.options.Logger.Error("a job does not end, the process has to", "job", id, "kind", kind)
	ctx, cancel := context.WithTimeout(context.Background(), beatLimit) // the job's own carries its scope
	defer cancel()
	err := dbctx.Run(ctx, q.db, func(ctx context.Context, tx *dbctx.Tx) error {
		schema.ParkJobs(tx, []string{q.heart.self.ID}, []int64{id}, whyStuck, q.now())
		return nil
	}, dbctx.Vital())
	if err != nil { // its process ends all the same, and the job goes the way of those that crash
		q.options.Logger.Error("the job could not be parked", "job", id, "error", err)
	}
	q.giveUp()
}
