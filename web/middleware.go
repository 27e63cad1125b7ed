package web

import (
	"net/http"
	"runtime/debug"
	"time"
)

// recorder remembers what was answered.
type recorder struct {
	http.ResponseWriter
	status int
}

// WriteHeader is http.ResponseWriter.
func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

// Write is http.ResponseWriter.
func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController find what the writer can do.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// accessLog logs and counts requests by their route: no path, which holds ids, and no query, which holds what people
// search for.
func (s *Server) accessLog(mux *http.ServeMux, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		_, route := mux.Handler(r)
		rec := &recorder{ResponseWriter: w}
		next.ServeHTTP(rec, r)
		took := time.Since(start)
		s.metrics.observeRequest(route, rec.status, took)
		s.log.DebugContext(r.Context(), "request", "method", r.Method, "route", route, "status", rec.status, "ms", took.Milliseconds())
	})
}

// recover turns a panic into a 500, with its stack in the log.
func (s *Server) recover(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			p := recover()
			if p == nil || p == http.ErrAbortHandler {
				return
			}
			s.log.ErrorContext(r.Context(), "a request panicked", "method", r.Method, "panic", p, "stack", string(debug.Stack()))
			if rec, ok := w.(*recorder); ok && rec.status == 0 {
				writeProblem(w, newProblem(http.StatusInternalServerError, "the request could not be worked; the log says why"))
			}
		}()
		next.ServeHTTP(w, r)
	})
}
