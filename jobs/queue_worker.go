package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/leadmill/leadmill/dbctx"
)

// worker runs one kind of job for River.
type worker[T Args] struct {
	river.WorkerDefaults[T]
	q    *Queue
	plan plan[T]
}

func add[T Args](q *Queue, p plan[T]) {
	var args T
	q.kinds = append(q.kinds, args.Kind())
	river.AddWorker(q.workers, &worker[T]{q: q, plan: p})
}

// attempt is what the middleware and the work of one attempt share.
type attempt struct {
	scope *Scope // of a scoped job
	read  bool   // the arguments were
}

type attemptKey struct{}

func (a *attempt) in(ctx context.Context) context.Context {
	return context.WithValue(ctx, attemptKey{}, a)
}

// Middleware opens the scope of a scoped job. It belongs to the worker, not to the client: only there it lies
// outside of the job's timeout, which would otherwise cut off the commit.
func (w *worker[T]) Middleware(*rivertype.JobRow) []rivertype.WorkerMiddleware {
	return []rivertype.WorkerMiddleware{&middleware{q: w.q, scoped: w.plan.scoped != nil}}
}

type middleware struct {
	river.MiddlewareDefaults
	q      *Queue
	scoped bool
}

// Work runs one attempt. What fails before the work has begun are its arguments.
func (m *middleware) Work(ctx context.Context, row *rivertype.JobRow, inner func(context.Context) error) error {
	defer m.q.running.begin(row.ID)()
	leave, err := m.q.giveWay.enter(ctx, row.Queue)
	if err != nil {
		return err
	}
	defer leave()
	a := &attempt{}
	err = m.run(ctx, row, a, inner)
	if err != nil && !a.read && ctx.Err() == nil && isJSON(err) {
		return &unreadable{err}
	}
	return because(ctx, err)
}

// run works a scoped job in a fenced scope. A job whose effects are committed already is done.
func (m *middleware) run(ctx context.Context, row *rivertype.JobRow, a *attempt, inner func(context.Context) error) error {
	if !m.scoped {
		return inner(a.in(ctx))
	}
	j := Job{ID: row.ID, Attempt: row.Attempt}
	err := m.q.scope(ctx, j, func(ctx context.Context, s *Scope) error {
		a.scope = s
		return inner(a.in(ctx))
	}, j.fence())
	if errors.Is(err, dbctx.ErrAlreadyDone) {
		return nil
	}
	return err
}

// unreadable are arguments that this release cannot read, however often it tries.
type unreadable struct{ err error }

// Error says what is wrong with them, in the words of encoding/json.
func (u *unreadable) Error() string {
	return "its arguments cannot be read by this release: " + u.err.Error()
}

// Unwrap gives the cause.
func (u *unreadable) Unwrap() error { return u.err }

func isJSON(err error) bool {
	var syntax *json.SyntaxError
	var shape *json.UnmarshalTypeError
	return errors.As(err, &syntax) || errors.As(err, &shape)
}

// because adds why the context ended to an error, for an interrupted job may fail in any words: a stop, to which River gives
// the attempt back, has to be told from a failure.
func because(ctx context.Context, err error) error {
	if err == nil || ctx.Err() == nil || errors.Is(err, ctx.Err()) {
		return err
	}
	return fmt.Errorf("%w (%w)", err, context.Cause(ctx))
}

// Work runs the job.
func (w *worker[T]) Work(ctx context.Context, job *river.Job[T]) error {
	a := ctx.Value(attemptKey{}).(*attempt)
	a.read = true
	if w.plan.scoped != nil {
		return w.plan.scoped(ctx, a.scope, job.Args)
	}
	err := w.plan.work(ctx, Job{ID: job.ID, Attempt: job.Attempt}, job.Args)
	var more again
	if errors.As(err, &more) {
		return river.JobSnooze(more.after)
	}
	return err
}

// Timeout of one attempt.
func (w *worker[T]) Timeout(*river.Job[T]) time.Duration { return w.plan.timeout }

// onStuck is called when an attempt goes on after its time. Its place stays taken: the process will not be long.
func (q *Queue) onStuck(ctx context.Context, p river.JobStuckHandlerParams) river.JobStuckHandlerResult {
	q.overdue(ctx, p.ID, p.Kind)
	return river.JobStuckHandlerResult{}
}

// errorHandler logs failed attempts; the queue decides when the next one comes.
type errorHandler struct{ log *slog.Logger }

// HandleError is called after an attempt that returned an error. River decides by the row it hands over whether it was the
// last one: for arguments that cannot be read it is, and where only a person can help.
func (h errorHandler) HandleError(ctx context.Context, row *rivertype.JobRow, err error) *river.ErrorHandlerResult {
	var u *unreadable
	var given *hopeless
	if errors.As(err, &u) || errors.As(err, &given) {
		row.MaxAttempts = row.Attempt
	}
	h.log.WarnContext(ctx, "job failed", "job", row.ID, "kind", row.Kind, "attempt", row.Attempt, "of", row.MaxAttempts, "error", err)
	return nil
}

// HandlePanic is called after an attempt that panicked.
func (h errorHandler) HandlePanic(ctx context.Context, row *rivertype.JobRow, value any, trace string) *river.ErrorHandlerResult {
	h.log.ErrorContext(ctx, "job panicked", "job", row.ID, "kind", row.Kind, "attempt", row.Attempt, "of", row.MaxAttempts,
		"panic", value, "stack", trace)
	return nil
}
