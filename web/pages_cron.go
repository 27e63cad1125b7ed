package web

import (
	"context"
	"net/http"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/schema"
)

func (s *Server) cron(w http.ResponseWriter, r *http.Request) {
	var list []schema.Schedule
	v := s.read(r, anyone, func(ctx context.Context, tx *dbctx.Tx) (err error) {
		list, err = schema.ListSchedules(ctx, tx)
		return err
	})
	s.show(w, v, "cron", view{Title: "Cron", Tab: "/cron", Every: "10s", Page: list})
}

// runSchedule enqueues a schedule's job now, besides its ticks.
func (s *Server) runSchedule(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	v := s.write(r, func(ctx context.Context, tx *dbctx.Tx) error { return s.queue.RunSchedule(ctx, tx, name) })
	if v.err == nil {
		s.log.Info("schedule to be run", "schedule", name, "user", v.user.ID)
	}
	s.done(w, v, "/cron", "run")
}
