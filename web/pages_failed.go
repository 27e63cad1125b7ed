package web

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/jobs"
	"github.com/leadmill/leadmill/schema"
)

// failedPage is what did not work out: each waits for another try or for a person.
type failedPage struct {
	Deliveries []schema.Delivery
	Uncertain  bool // one of them is
	Pager      pager
	Jobs       []jobs.FailedJob
}

// undelivered is a delivery that a person may do something about, and the page to go back to.
type undelivered struct {
	schema.Delivery
	Back string
}

// Retry says whether it can be made again.
func (u undelivered) Retry() bool {
	return u.State == schema.DeliveryGivenUp || u.State == schema.DeliveryRetrying || u.Uncertain()
}

// Uncertain says whether it can be marked as delivered.
func (u undelivered) Uncertain() bool { return u.State == schema.DeliveryUncertain }

const failedJobs = 100 // shown at once; River UI shows all

func (s *Server) failed(w http.ResponseWriter, r *http.Request) {
	var p failedPage
	v := s.read(r, anyone, func(ctx context.Context, tx *dbctx.Tx) error {
		rows, err := schema.FailedDeliveries(ctx, tx, id(r.URL.Query().Get("before")), pageRows+1)
		var next int64
		p.Deliveries, next = cut(rows, func(d schema.Delivery) int64 { return d.ID })
		p.Uncertain = slices.ContainsFunc(p.Deliveries, func(d schema.Delivery) bool { return d.State == schema.DeliveryUncertain })
		p.Pager = newPager(r, next)
		return err
	})
	if v.err == nil { // the queue has connections of its own
		p.Jobs, v.err = s.queue.FailedJobs(r.Context(), failedJobs)
	}
	s.show(w, v, "failed", view{Title: "Failed", Tab: "/failed", Every: "5s", Page: p})
}

// retryDelivery makes a parked, uncertain or retrying delivery again.
func (s *Server) retryDelivery(w http.ResponseWriter, r *http.Request) {
	if !readForm(w, r) {
		return
	}
	n := pathID(r)
	v := s.write(r, func(ctx context.Context, tx *dbctx.Tx) error { return s.queue.RetryDelivery(ctx, tx, n) })
	if v.err == nil {
		s.log.Info("delivery to be made again", "delivery", n, "user", v.user.ID)
	}
	s.done(w, v, localPath(r.PostFormValue("back"), "/failed"), "delivery")
}

// confirmDelivery marks an uncertain delivery as delivered.
func (s *Server) confirmDelivery(w http.ResponseWriter, r *http.Request) {
	if !readForm(w, r) {
		return
	}
	n := pathID(r)
	v := s.write(r, func(ctx context.Context, tx *dbctx.Tx) error {
		u, err := s.userIn(ctx, tx, r)
		if err != nil {
			return err
		}
		return s.queue.ConfirmDelivery(ctx, tx, n, fmt.Sprintf("user/%d", u.ID))
	})
	if v.err == nil {
		s.log.Info("delivery marked as delivered", "delivery", n, "user", v.user.ID)
	}
	s.done(w, v, localPath(r.PostFormValue("back"), "/failed"), "delivered")
}

// retryJob runs a job again.
func (s *Server) retryJob(w http.ResponseWriter, r *http.Request) {
	n := pathID(r)
	v := s.read(r, mayOperate, func(context.Context, *dbctx.Tx) error { return nil })
	if v.err == nil {
		v.err = s.queue.RetryJob(r.Context(), n)
	}
	if v.err == nil {
		s.log.Info("job to be run again", "job", n, "user", v.user.ID)
	}
	s.done(w, v, "/failed", "job")
}
