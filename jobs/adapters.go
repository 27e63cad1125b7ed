package jobs

import (
	"context"
	"errors"
	"time"

	"github.com/leadmill/leadmill/dbctx"
)

// plan says how one kind of job is run. Exactly one of scoped and work is set.
type plan[T Args] struct {
	scoped  func(ctx context.Context, s *Scope, args T) error
	work    func(ctx context.Context, j Job, args T) error
	timeout time.Duration // 0: the default of a minute; -1: none
}

func inScope[T Args](q *Queue, work func(context.Context, *Scope, T) error) {
	add(q, plan[T]{scoped: work})
}

// inSteps is for work too long for one scope. It has no limit of time: it ends when it is done or when the
// process stops, and goes on where its cursor stands.
func inSteps[T Args](q *Queue, work func(context.Context, *Queue, Job, T) error) {
	add(q, plan[T]{timeout: -1, work: func(ctx context.Context, j Job, args T) error {
		return work(ctx, q, j, args)
	}})
}

// stages of a job that calls another system.
type stages[T Args, C any] struct {
	// enter comes first, with no scope open, and gives the job leave to begin; again puts it off. What it returns is
	// called at the end, whatever that is, with what became of the call.
	enter func(ctx context.Context, q *Queue, args T) (leave func(C), err error)
	// take reads what the call needs and writes down that it is being made. ErrNothingToDo ends the job.
	take func(ctx context.Context, s *Scope, args T) (C, error)
	// call does it, with no scope open. It fails only where trying again makes sense to the queue itself:
	// an answer, whatever it says, is part of the call.
	call func(ctx context.Context, q *Queue, c C) (C, error)
	// again says when to call once more, 0 if this was the last time.
	again func(c C, now time.Time) time.Duration
	// settle writes down how the call ended.
	settle func(ctx context.Context, s *Scope, c C, again time.Duration) error
}

var errNothingToDo = errors.New("nothing to do")

// again tells the queue to run the job once more after that time, without counting a failure.
type again struct{ after time.Duration }

// Error is for nobody: the queue takes it for a snooze.
func (a again) Error() string { return "again in " + a.after.String() }

// hopeless gives a job up, however many attempts it has left, until a person retries it.
type hopeless struct{ reason string }

// Error is the reason.
func (h *hopeless) Error() string { return h.reason }

func callThenSettle[T Args, C any](q *Queue, s stages[T, C]) {
	add(q, plan[T]{timeout: 2 * time.Minute, work: func(ctx context.Context, j Job, args T) error {
		err := s.run(ctx, q, j, args)
		if errors.Is(err, errNothingToDo) || errors.Is(err, dbctx.ErrAlreadyDone) {
			return nil
		}
		return err
	}})
}

func (s stages[T, C]) run(ctx context.Context, q *Queue, j Job, args T) error {
	var c C
	leave, err := s.enter(ctx, q, args)
	if err != nil {
		return err
	}
	defer func() { leave(c) }()
	err = q.scope(ctx, j, func(ctx context.Context, scope *Scope) (err error) {
		c, err = s.take(ctx, scope, args)
		return err
	})
	if err != nil {
		return err
	}
	if c, err = s.call(ctx, q, c); err != nil {
		return err
	}
	ctx, cancel := linger(ctx, settleLimit)
	defer cancel()
	wait := s.again(c, q.now())
	if wait > 0 {
		if err := q.scope(ctx, j, s.settling(c, wait)); err != nil {
			return err
		}
		return again{wait}
	}
	return q.scope(ctx, j, s.settling(c, 0), j.fence())
}

// settleLimit is how long the answer of a call may take to be written down while the process is being stopped.
const settleLimit = hardStop - time.Second

// linger is ctx, but it ends only that long after ctx has.
func linger(ctx context.Context, after time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(after, cancel) })
	return longer, func() { stop(); cancel() }
}

func (s stages[T, C]) settling(c C, wait time.Duration) func(context.Context, *Scope) error {
	return func(ctx context.Context, scope *Scope) error { return s.settle(ctx, scope, c, wait) }
}
