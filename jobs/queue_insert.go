package jobs

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/riverqueue/river"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/schema"
)

// enqueueOne is Enqueue for a lone job in a scope of few statements, which is what a post makes: on PostgreSQL it
// leaves with COMMIT, and not in two trips of its own.
func (q *Queue) enqueueOne(ctx context.Context, tx *dbctx.Tx, args Args) error {
	if q.db.Dialect() == dbctx.SQLite {
		return q.Enqueue(ctx, tx, args)
	}
	text, err := json.Marshal(args)
	if err != nil {
		return err
	}
	schema.QueueJob(tx, args.Kind(), args.Queue(), string(text), river.MaxAttemptsDefault)
	if q.wakes.due(args.Queue(), time.Now()) {
		schema.WakeWorkers(tx, args.Queue())
	}
	return nil
}

// wakes bounds how often the workers of a queue are woken by this process: commits that do stand in one line. A job
// that wakes nobody is found by those who were woken a moment before, or by the next poll.
type wakes struct {
	mu   sync.Mutex
	last map[string]time.Time // by queue
}

// wakePause is River's, as the client's FetchCooldown says.
const wakePause = time.Millisecond

func (w *wakes) due(queue string, now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if now.Sub(w.last[queue]) < wakePause {
		return false
	}
	if w.last == nil {
		w.last = map[string]time.Time{}
	}
	w.last[queue] = now
	return true
}
