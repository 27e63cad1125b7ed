package web

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/schema"
)

// pages registers what people look at. Everything but the log-in asks who they are.
func (s *Server) pages(mux *http.ServeMux) {
	mux.HandleFunc("GET /{$}", s.funnel)
	mux.HandleFunc("GET /leads", s.leads)
	mux.HandleFunc("GET /leads/{id}", s.lead)
	mux.HandleFunc("GET /intakes", s.intakes)
	mux.HandleFunc("GET /intakes/{id}", s.intake)
	mux.HandleFunc("POST /intakes/{id}/release", s.releaseIntake)
	mux.HandleFunc("GET /failed", s.failed)
	mux.HandleFunc("POST /deliveries/{id}/retry", s.retryDelivery)
	mux.HandleFunc("POST /deliveries/{id}/delivered", s.confirmDelivery)
	mux.HandleFunc("GET /failed/jobs/retry", s.askRetryJobs)
	mux.HandleFunc("POST /failed/jobs/retry", s.retryJobs)
	mux.HandleFunc("GET /failed/jobs/{id}", s.failedJob)
	mux.HandleFunc("POST /failed/jobs/{id}/retry", s.retryJob)
	mux.HandleFunc("GET /imports", s.imports)
	mux.HandleFunc("POST /imports", s.takeUpload)
	mux.HandleFunc("GET /imports/{id}", s.importPage)
	mux.HandleFunc("POST /imports/{id}/orders", s.orderImport)
	mux.HandleFunc("POST /imports/{id}/pause", s.steerImport("paused", schema.PauseImport))
	mux.HandleFunc("POST /imports/{id}/resume", s.steerImport("resumed", s.queue.StartImport))
	mux.HandleFunc("POST /imports/{id}/cancel", s.steerImport("cancelled", s.cancelImport))
	mux.HandleFunc("POST /imports/{id}/revert", s.steerImport("reverting", s.queue.RevertImport))
	mux.HandleFunc("GET /imports/{id}/rejected.csv", s.rejectedRows)
	mux.HandleFunc("GET /sources", s.sources)
	mux.HandleFunc("GET /destinations", s.destinations)
	mux.HandleFunc("GET /cron", s.cron)
	mux.HandleFunc("POST /cron/{name}/run", s.runSchedule)
	mux.Handle("/jobs/", s.riverUI())

	door := s.newDoor()
	mux.HandleFunc("GET /login", door.form)
	mux.HandleFunc("POST /login", door.enter)
	mux.HandleFunc("POST /logout", door.leave)

	mux.HandleFunc("GET /static/{name}", static)
	mux.HandleFunc("/", s.nothingHere)
}

// visit is a request, who made it, and why it cannot be answered if it cannot.
type visit struct {
	r     *http.Request
	user  schema.User
	known bool // somebody is logged in
	err   error
}

// errForbidden: the user's role may not do this.
var errForbidden = errors.New("the role may not do this")

type reading = func(ctx context.Context, tx *dbctx.Tx) error

// read finds out who visits and, if they may, reads all that the page shows, in one scope.
func (s *Server) read(r *http.Request, may func(schema.User) bool, fn reading) visit {
	return s.scope(r, may, fn, dbctx.ReadOnly())
}

// write is read for what changes something; only operators and admins may.
func (s *Server) write(r *http.Request, fn func(ctx context.Context, tx *dbctx.Tx) error) visit {
	return s.scope(r, mayOperate, fn)
}

func (s *Server) scope(r *http.Request, may func(schema.User) bool, fn reading, options ...dbctx.Option) visit {
	v := visit{r: r}
	v.err = dbctx.Run(r.Context(), s.db, func(ctx context.Context, tx *dbctx.Tx) (err error) {
		if v.user, err = s.userIn(ctx, tx, r); err != nil {
			return err
		}
		v.known = true
		if !may(v.user) {
			return errForbidden
		}
		return fn(ctx, tx)
	}, options...)
	return v
}

// notices are what a page may say of the action before it. The query names one, so nobody can put words of their own
// there.
var notices = map[string]string{
	"delivery":  "The delivery is on its way again.",
	"delivered": "The delivery is marked as delivered.",
	"job":       "The job will run as soon as a worker is free.",
	"jobs":      "The jobs will run as soon as workers are free.",
	"release":   "The submission is released and will be processed.",
	"run":       "The schedule's job is enqueued.",
	"uploaded":  "The file is here. Nothing is imported before you say so.",
	"existed":   "The same file came from this source before: this is its import.",
	"ordered":   "The file is read as you have said.",
	"started":   "The import has begun.",
	"paused":    "The import is paused. Rows that were read already are processed.",
	"resumed":   "The import goes on.",
	"cancelled": "The import is cancelled. Rows that were read already are kept.",
	"reverting": "The import is being undone.",
	"nothing":   "There was nothing to do: it is no longer waiting.",
}

// done goes back to the page that an action was called from, and says there what was done.
func (s *Server) done(w http.ResponseWriter, v visit, back, notice string) {
	if errors.Is(v.err, schema.ErrNotFound) {
		notice, v.err = "nothing", nil
	}
	if v.err != nil {
		s.fail(w, v)
		return
	}
	join := "?"
	if strings.Contains(back, "?") {
		join = "&"
	}
	http.Redirect(w, v.r, back+join+"notice="+notice, http.StatusSeeOther)
}

const formLimit = 16 << 10 // bytes of a form

// localPath returns a path on this server, or the other one if it is not: a link may not lead from here elsewhere.
func localPath(path, other string) string {
	if !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || strings.ContainsAny(path, "\\\r\n\t") {
		return other
	}
	return path
}

// pathID is the id in the path; 0, which nothing has, if there is no number.
func pathID(r *http.Request) int64 { return id(r.PathValue("id")) }

func id(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// Lists show so many rows at once.
const pageRows = 50

// cut shortens a list, read one row longer than it is shown, and returns the cursor of the next page; 0 if there is
// none.
func cut[T any](rows []T, idOf func(T) int64) ([]T, int64) {
	if len(rows) <= pageRows {
		return rows, 0
	}
	rows = rows[:pageRows]
	return rows, idOf(rows[pageRows-1])
}

// pager leads through a list, newest first.
type pager struct {
	Newest string // "" if this is the newest page
	Older  string // "" if there are no older ones
}

func newPager(r *http.Request, next int64) (p pager) {
	query := r.URL.Query()
	query.Del("seen")
	query.Del("notice")
	if query.Has("before") {
		query.Del("before")
		p.Newest = withQuery(r.URL.Path, query)
	}
	if next != 0 {
		query.Set("before", strconv.FormatInt(next, 10))
		p.Older = withQuery(r.URL.Path, query)
	}
	return p
}
