package web

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/schema"
)

// failedPage is what did not work out: each waits for another try or for a person.
type failedPage struct {
	Deliveries []schema.Delivery
	Uncertain  bool // one of them is
	Pager      pager
	Jobs       failedJobs
}

// failedJobs are those that match a search.
type failedJobs struct {
	Query    schema.JobQuery
	States   []string
	List     []schema.FailedJob
	Matching int64
	RetryAll string // where all that match are retried
}

const failedJobRows = 100 // shown at once; the search finds the others

// jobQuery is the search in a page's query.
func jobQuery(form url.Values) schema.JobQuery {
	return schema.JobQuery{
		Kind: searchText(form.Get("kind")), Queue: searchText(form.Get("queue")),
		State: searchText(form.Get("state")), Error: searchText(form.Get("error")), Limit: failedJobRows,
	}
}

func (j *failedJobs) read(ctx context.Context, tx *dbctx.Tx) (err error) {
	if j.Matching, err = schema.CountFailedJobs(ctx, tx, j.Query); err != nil {
		return err
	}
	j.States = schema.FailedStates
	j.RetryAll = withQuery("/failed/jobs/retry", url.Values{
		"kind": {j.Query.Kind}, "queue": {j.Query.Queue}, "state": {j.Query.State}, "error": {j.Query.Error},
	})
	j.List, err = schema.FailedJobs(ctx, tx, j.Query)
	return err
}

func (s *Server) failed(w http.ResponseWriter, r *http.Request) {
	p := failedPage{Jobs: failedJobs{Query: jobQuery(r.URL.Query())}}
	v := s.read(r, anyone, func(ctx context.Context, tx *dbctx.Tx) error {
		rows, err := schema.FailedDeliveries(ctx, tx, id(r.URL.Query().Get("before")), pageRows+1)
		if err != nil {
			return err
		}
		var next int64
		p.Deliveries, next = cut(rows, func(d schema.Delivery) int64 { return d.ID })
		p.Uncertain = slices.ContainsFunc(p.Deliveries, func(d schema.Delivery) bool { return d.State == schema.DeliveryUncertain })
		p.Pager = newPager(r, next)
		return p.Jobs.read(ctx, tx)
	})
	s.show(w, v, "failed", view{Title: "Failed", Tab: "/failed", Every: "5s", Page: p})
}

// retryJob runs a job again.
func (s *Server) retryJob(w http.ResponseWriter, r *http.Request) {
	if !readForm(w, r, formLimit) {
		return
	}
	n, notice := pathID(r), "nothing"
	v := s.write(r, func(ctx context.Context, tx *dbctx.Tx) error {
		retried, err := schema.RetryJobs(ctx, tx, []int64{n})
		if len(retried) == 1 {
			notice = "job"
		}
		return err
	})
	if v.err == nil && notice == "job" {
		s.log.Info("job to be run again", "job", n, "user", v.user.ID)
	}
	s.done(w, v, localPath(r.PostFormValue("back"), "/failed"), notice)
}

// askRetryJobs shows what retryJobs would do, and asks.
func (s *Server) askRetryJobs(w http.ResponseWriter, r *http.Request) {
	p := failedJobs{Query: jobQuery(r.URL.Query())}
	p.Query.Limit = 5
	v := s.read(r, mayOperate, p.read)
	s.show(w, v, "retry_jobs", view{Title: "Retry jobs", Tab: "/failed", Page: p})
}

// retryJobs runs all failed jobs that match again.
func (s *Server) retryJobs(w http.ResponseWriter, r *http.Request) {
	if !readForm(w, r, formLimit) {
		return
	}
	v := s.read(r, mayOperate, func(context.Context, *dbctx.Tx) error { return nil })
	n := 0
	if v.err == nil {
		n, v.err = s.queue.RetryFailed(r.Context(), jobQuery(r.PostForm))
	}
	notice := "nothing"
	if n > 0 {
		notice = "jobs"
		s.log.Info("jobs to be run again", "jobs", n, "user", v.user.ID)
	}
	s.done(w, v, "/failed", notice)
}

// Narrowed says whether the search shows less than all.
func (j failedJobs) Narrowed() bool {
	return strings.Join([]string{j.Query.Kind, j.Query.Queue, j.Query.State, j.Query.Error}, "") != ""
}
