// Package web is the counter: the HTTP API that takes leads in, the pages that show what became of them, and what
// machines ask: health and metrics.
package web

import (
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/jobs"
)

// Config of a Server.
type Config struct {
	Logger  *slog.Logger     // nil means silence
	Now     func() time.Time // nil means time.Now
	Dev     bool             // no log-in is asked; only this machine's own names are served
	Secure  bool             // cookies are sent over TLS only
	Metrics *Metrics         // nil: its own

	ImportMaxBytes int64 // of a file that is uploaded; 0 means 512 MiB
}

// Server answers HTTP. Make it with New.
type Server struct {
	db       *dbctx.DB
	queue    *jobs.Queue
	config   Config
	log      *slog.Logger
	now      func() time.Time
	ui       http.Handler // River UI
	metrics  *Metrics
	stopping atomic.Bool

	senders   senders
	over      overLimits
	formTries *limiter // by address
	crossSite *http.CrossOriginProtection
}

// New makes a server on a migrated database and its queue, which need not be started.
func New(db *dbctx.DB, q *jobs.Queue, c Config) (*Server, error) {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Metrics == nil {
		c.Metrics = NewMetrics(db)
	}
	s := &Server{
		db: db, queue: q, config: c, log: c.Logger, now: c.Now, metrics: c.Metrics,
		formTries: newLimiter(20, 5*time.Second, 10_000), crossSite: http.NewCrossOriginProtection(),
	}
	templates() // a page that cannot be parsed is found now
	return s, s.openUI()
}

// Handler is the whole site.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()

	mux.HandleFunc("POST /api/v1/leads", s.takeLead)
	mux.HandleFunc("OPTIONS /api/v1/leads", s.preflight)
	mux.HandleFunc("POST /api/v1/leads/batch", s.takeBatch)
	mux.HandleFunc("GET /api/v1/intakes/{id}", s.getIntake)
	mux.HandleFunc("GET /api/v1/leads", s.listLeads)
	mux.HandleFunc("GET /api/v1/leads/{id}", s.getLead)
	mux.HandleFunc("GET /api/v1/leads/{id}/events", s.getEvents)
	mux.HandleFunc("/api/", s.noSuchCall)

	mux.HandleFunc("POST /hooks/google/{source}", s.takeGoogle)
	mux.HandleFunc("GET /hooks/meta/{source}", s.verifyMeta)
	mux.HandleFunc("POST /hooks/meta/{source}", s.takeMeta)
	mux.HandleFunc("POST /hooks/standard/{source}", s.takeStandard)
	mux.HandleFunc("/hooks/{kind}/{source}", s.noSuchHook)
	mux.HandleFunc("/hooks/", s.noSuchCall)
	mux.HandleFunc("GET /openapi.json", serveOpenAPI)
	mux.HandleFunc("GET /docs", s.docs)

	mux.HandleFunc("POST /f/{form}", s.takeForm)
	mux.HandleFunc("OPTIONS /f/{form}", s.preflightForm)
	mux.HandleFunc("GET /f/{form}/token", s.formToken)
	mux.HandleFunc("GET /f/{form}/thanks", s.formThanks)

	mux.HandleFunc("GET /healthz", healthy)
	mux.HandleFunc("GET /readyz", ready(s.db, s.stopping.Load))
	mux.Handle("GET /metrics", s.metrics.Handler())

	s.pages(mux)
	return s.accessLog(mux, s.recover(s.secure(s.leaving(readable(mux)))))
}

// HTTPServer is a server of the site with limits on what a client may take.
func (s *Server) HTTPServer() *http.Server {
	return &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      60 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
}

// Stopping turns readiness off, so that nothing new is sent here. Requests are still answered, and with each answer the
// client hears that the connection closes.
func (s *Server) Stopping() { s.stopping.Store(true) }

func (s *Server) leaving(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.stopping.Load() {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}
