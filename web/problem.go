package web

import (
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/lead"
	"github.com/leadmill/leadmill/schema"
)

// problem is an error as RFC 9457 has it. It repeats no value of the request.
type problem struct {
	Type   string        `json:"type"` // about:blank: the status says it all
	Title  string        `json:"title"`
	Status int           `json:"status"`
	Detail string        `json:"detail,omitempty"`
	Errors []lead.Reason `json:"errors,omitempty"` // one for each field that is wrong

	retryAfter time.Duration // 0: the sender is not told when to come again
}

// Error makes a problem an error, so that a scope rolls back on it.
func (p *problem) Error() string { return p.Detail }

func newProblem(status int, detail string, fields ...lead.Reason) *problem {
	return &problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail, Errors: fields}
}

// retryAfter is when a client may come back while the database is away.
const retryAfter = 5 * time.Second

// refuse answers with the problem that an error is.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	writeProblem(w, s.problemOf(r, err))
}

func (s *Server) problemOf(r *http.Request, err error) (p *problem) {
	switch {
	case errors.As(err, &p):
	case errors.Is(err, schema.ErrNotFound):
		p = newProblem(http.StatusNotFound, "there is nothing with this id that this key may see")
	case dbctx.IsUnavailable(err):
		s.log.WarnContext(r.Context(), "database away", "route", r.Pattern, "error", err)
		p = newProblem(http.StatusServiceUnavailable, "the database is away; send it again")
		p.retryAfter = retryAfter
	case r.Context().Err() != nil: // who asked has hung up
		p = newProblem(http.StatusServiceUnavailable, "the request was given up; send it again")
	default:
		s.log.ErrorContext(r.Context(), "request failed", "route", r.Pattern, "error", err)
		p = newProblem(http.StatusInternalServerError, "the request could not be worked; the log says why")
	}
	return p
}

func writeProblem(w http.ResponseWriter, p *problem) {
	if p.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="leadmill"`)
	}
	sayWhen(w, p)
	writeJSON(w, p.Status, "application/problem+json", p)
}

// sayWhen tells the sender when to come again, in whole seconds.
func sayWhen(w http.ResponseWriter, p *problem) {
	if p.retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(p.retryAfter.Seconds()))))
	}
}

// answer writes a value as JSON. It may hold personal data, so nobody on the way keeps it.
func answer(w http.ResponseWriter, status int, v any) {
	writeJSON(w, status, "application/json", v)
}

func writeJSON(w http.ResponseWriter, status int, kind string, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err) // our own structs can be marshalled
	}
	writeBody(w, status, kind, body)
}

func writeBody(w http.ResponseWriter, status int, kind string, body []byte) {
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}

// noSuchCall answers for everything under /api/ and /hooks/ that is not a call, and for wrong methods.
func (s *Server) noSuchCall(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/api/v1/leads/batch" {
		w.Header().Set("Allow", "POST")
		writeProblem(w, newProblem(http.StatusMethodNotAllowed, "want POST"))
		return
	}
	if r.URL.Path == "/api/v1/leads" {
		w.Header().Set("Allow", "GET, POST")
		writeProblem(w, newProblem(http.StatusMethodNotAllowed, "want GET or POST"))
		return
	}
	if r.Method != http.MethodGet && isRead(r.URL.Path) {
		w.Header().Set("Allow", "GET")
		writeProblem(w, newProblem(http.StatusMethodNotAllowed, "want GET"))
		return
	}
	writeProblem(w, newProblem(http.StatusNotFound, "there is no such call"))
}
