package web

import (
	"context"
	"fmt"
	"net/http"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/schema"
)

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

// retryDelivery makes a parked, uncertain or retrying delivery again.
func (s *Server) retryDelivery(w http.ResponseWriter, r *http.Request) {
	if !readForm(w, r, formLimit) {
		return
	}
	n := pathID(r)
	v := s.write(r, func(ctx context.Context, tx *dbctx.Tx) error { return s.queue.RetryDelivery(ctx, tx, n) })
	if v.err == nil {
		s.log.Info("delivery to be made again", "delivery", n, "user", v.user.ID)
	}
	s.done(w, v, localPath(r.PostFormValue("back"), "/failed"), "delivery")
}

// failedJob shows one job and why it failed.
func (s *Server) failedJob(w http.ResponseWriter, r *http.Request) {
	var j schema.Job
	v := s.read(r, mayOperate, func(ctx context.Context, tx *dbctx.Tx) (err error) {
		j, err = schema.GetJob(ctx, tx, pathID(r))
		return err
	})
	s.show(w, v, "job", view{Title: "Job", Tab: "/failed", Page: j})
}

// confirmDelivery marks an uncertain delivery as delivered.
func (s *Server) confirmDelivery(w http.ResponseWriter, r *http.Request) {
	if !readForm(w, r, formLimit) {
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
