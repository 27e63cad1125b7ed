package web

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/lead"
	"github.com/leadmill/leadmill/schema"
)

// verdicts that the list can be narrowed to.
var verdicts = []lead.Verdict{lead.Pending, lead.Accepted, lead.Duplicate, lead.Rejected, lead.Quarantined}

type intakesPage struct {
	Status   lead.Verdict // "" all
	Verdicts []lead.Verdict
	ImportID int64 // 0 all
	Intakes  []schema.Intake
	Pager    pager
}

func (s *Server) intakes(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	p := intakesPage{Status: lead.Verdict(query.Get("status")), Verdicts: verdicts, ImportID: id(query.Get("import"))}
	if !slices.Contains(verdicts, p.Status) {
		p.Status = ""
	}
	v := s.read(r, anyone, func(ctx context.Context, tx *dbctx.Tx) error {
		rows, err := schema.ListIntakes(ctx, tx, schema.IntakeFilter{
			Status: p.Status, ImportID: p.ImportID, Before: id(query.Get("before")), Limit: pageRows + 1,
		})
		var next int64
		p.Intakes, next = cut(rows, func(i schema.Intake) int64 { return i.ID })
		p.Pager = newPager(r, next)
		return err
	})
	s.show(w, v, "intakes", view{Title: "Intakes", Tab: "/intakes", Every: "5s", Page: p})
}

func (s *Server) intake(w http.ResponseWriter, r *http.Request) {
	var in schema.Intake
	v := s.read(r, anyone, func(ctx context.Context, tx *dbctx.Tx) (err error) {
		in, err = schema.GetIntake(ctx, tx, pathID(r))
		return err
	})
	s.show(w, v, "intake", view{Title: fmt.Sprintf("Intake %d", in.ID), Tab: "/intakes", Every: "5s", Page: in})
}

// releaseIntake lets a quarantined submission go on.
func (s *Server) releaseIntake(w http.ResponseWriter, r *http.Request) {
	n := pathID(r)
	v := s.write(r, func(ctx context.Context, tx *dbctx.Tx) error { return s.queue.ReleaseIntake(ctx, tx, n) })
	if v.err == nil {
		s.log.Info("intake released", "intake", n, "user", v.user.ID)
	}
	s.done(w, v, fmt.Sprintf("/intakes/%d", n), "release")
}
