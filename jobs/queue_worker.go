package jobs

import (
	"context"
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
	river.AddWorker(q.workers, &worker[T]{q: q, plan: p})
}

type scopeKey struct{}

// Middleware opens the scope of a scoped job. It belongs to the worker, not to the client: only there it lies
// outside of the job's timeout, which would otherwise cut off the commit.
func (w *worker[T]) Middleware(row *rivertype.JobRow) []rivertype.WorkerMiddleware {
	if w.plan.scoped == nil {
		return nil
	}
	return []rivertype.WorkerMiddleware{&scopeMiddleware{q: w.q}}
}

type scopeMiddleware struct {
	river.MiddlewareDefaults
	q *Queue
}

// Work runs the job in a fenced scope. A job whose effects are committed already is done.
func (m *scopeMiddleware) Work(ctx context.Context, row *rivertype.JobRow, inner func(context.Context) error) error {
	j := Job{ID: row.ID, Attempt: row.Attempt}
	err := m.q.scope(ctx, j, func(ctx context.Context, s *Scope) error {
		return inner(context.WithValue(ctx, scopeKey{}, s))
	}, j.fence())
	if errors.Is(err, dbctx.ErrAlreadyDone) {
		return nil
	}
	return because(ctx, err)
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
	if w.plan.scoped != nil {
		return w.plan.scoped(ctx, ctx.Value(scopeKey{}).(*Scope), job.Args)
	}
	err := w.plan.work(ctx, Job{ID: job.ID, Attempt: job.Attempt}, job.Args)
	var more again
	if errors.As(err, &more) {
		return river.JobSnooze(more.after)
	}
	return because(ctx, err)
}

// Timeout of one attempt.
func (w *worker[T]) Timeout(*river.Job[T]) time.Duration { return w.plan.timeout }

// errorHandler logs failed attempts; the queue decides when the next one comes.
type errorHandler struct{ log *slog.Logger }

// HandleError is called after an attempt that returned an error.
func (h errorHandler) HandleError(ctx context.Context, row *rivertype.JobRow, err error) *river.ErrorHandlerResult {
	h.log.WarnContext(ctx, "job failed", "job", row.ID, "kind", row.Kind, "attempt", row.Attempt, "of", row.MaxAttempts, "error", err)
	return nil
}

// HandlePanic is called after an attempt that panicked.
func (h errorHandler) HandlePanic(ctx context.Context, row *rivertype.JobRow, value any, trace string) *river.ErrorHandlerResult {
	h.log.ErrorContext(ctx, "job panicked", "job", row.ID, "kind", row.Kind, "attempt", row.Attempt, "of", row.MaxAttempts,
		"panic", value, "stack", trace)
	return nil
}
