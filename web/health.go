package web

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/jobs"
	"github.com/leadmill/leadmill/schema"
)

// healthy says that the process lives.
func healthy(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, map[string]string{"status": "ok"})
}

// readyLimit is how long the database may take to answer.
const readyLimit = 3 * time.Second

// ready says that the process should be sent work: the database answers, its tables are of this release, and the
// process is not about to stop.
func ready(db *dbctx.DB, stopping func() bool) http.HandlerFunc {
	p := &probe{db: db, stopping: stopping}
	return func(w http.ResponseWriter, r *http.Request) {
		if reason := p.notReady(r.Context()); reason != "" {
			p := newProblem(http.StatusServiceUnavailable, reason)
			p.retryAfter = retryAfter
			writeProblem(w, p)
			return
		}
		answer(w, http.StatusOK, map[string]string{"status": "ready"})
	}
}

// probe remembers that the migrations were all there: they do not go away, and reading them costs connections.
type probe struct {
	db       *dbctx.DB
	stopping func() bool
	current  atomic.Bool
}

// notReady says why not, "" if it is.
func (p *probe) notReady(ctx context.Context) string {
	if p.stopping() {
		return "the process is stopping"
	}
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	takes, err := p.takesWrites(ctx)
	if err != nil {
		return "the database does not answer"
	}
	if !takes {
		return "the database takes no writes"
	}
	if p.current.Load() {
		return ""
	}
	pending, err := jobs.Pending(ctx, p.db)
	if err != nil {
		return "the migrations cannot be read"
	}
	if pending > 0 {
		return "migrations are pending: leadmill migrate up"
	}
	p.current.Store(true)
	return ""
}

// takesWrites asks on a connection of the reserve: a process whose scopes have all the others is busy, not ill.
func (p *probe) takesWrites(ctx context.Context) (takes bool, err error) {
	err = dbctx.Run(ctx, p.db, func(ctx context.Context, tx *dbctx.Tx) (err error) {
		takes, err = schema.TakesWrites(ctx, tx)
		return err
	}, dbctx.ReadOnly(), dbctx.Vital())
	return takes, err
}

// HealthHandler serves /healthz, /readyz and /metrics for a process that serves nothing else.
func HealthHandler(db *dbctx.DB, m *Metrics, stopping func() bool) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", healthy)
	mux.HandleFunc("GET /readyz", ready(db, stopping))
	mux.Handle("GET /metrics", m.Handler())
	return mux
}
