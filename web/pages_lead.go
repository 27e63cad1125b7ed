package web

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/lead"
	"github.com/leadmill/leadmill/schema"
)

// leadPage is all we know about one lead, and how we came to know and decide it.
type leadPage struct {
	Lead       schema.Lead
	Name       string
	Fields     []fieldRow
	Extra      []extraRow
	Story      []told
	Deliveries []schema.Delivery
	Jobs       []jobRow
	Intakes    []schema.Intake
}

type fieldRow struct {
	Name string
	lead.Field
}

type extraRow struct{ Name, Value string }

func (s *Server) lead(w http.ResponseWriter, r *http.Request) {
	var p leadPage
	v := s.read(r, anyone, func(ctx context.Context, tx *dbctx.Tx) (err error) {
		p, err = readLead(ctx, tx, pathID(r))
		return err
	})
	s.show(w, v, "lead", view{Title: p.Name, Tab: "/leads", Every: "5s", Page: p})
}

func readLead(ctx context.Context, tx *dbctx.Tx, id int64) (p leadPage, err error) {
	if p.Lead, err = schema.GetLead(ctx, tx, id); err != nil {
		return p, err
	}
	events, err := schema.LeadEvents(ctx, tx, id)
	if err != nil {
		return p, err
	}
	users, err := schema.ListUsers(ctx, tx)
	if err != nil {
		return p, err
	}
	if p.Deliveries, err = schema.LeadDeliveries(ctx, tx, id); err != nil {
		return p, err
	}
	p.Intakes, err = schema.ListIntakes(ctx, tx, schema.IntakeFilter{LeadID: id, Limit: 100})
	p.Name = nameOf(p.Lead)
	p.Fields, p.Extra = fieldRows(p.Lead), extraRows(p.Lead.Extra)
	p.Story = story(events, users, p.Deliveries)
	p.Jobs = jobRows(events, p.Deliveries)
	return p, err
}

// nameOf is what to call a lead: the best that is known.
func nameOf(l schema.Lead) string {
	for _, field := range []string{"name", "email", "phone", "company"} {
		if value := l.Value(field); value != "" {
			return value
		}
	}
	return fmt.Sprintf("Lead %d", l.ID)
}

func fieldRows(l schema.Lead) []fieldRow {
	var rows []fieldRow
	for _, name := range lead.FieldNames {
		if f, known := l.Fields[name]; known {
			rows = append(rows, fieldRow{name, f})
		}
	}
	return rows
}

func extraRows(extra map[string]any) []extraRow {
	var rows []extraRow
	for _, name := range slices.Sorted(maps.Keys(extra)) {
		rows = append(rows, extraRow{name, fmt.Sprint(extra[name])})
	}
	return rows
}

// jobRow is a job that had to do with the lead.
type jobRow struct {
	ID  int64
	Did string
}

// jobRows lists the jobs that signed events or work deliveries, in order of their ids.
func jobRows(events []schema.Event, deliveries []schema.Delivery) []jobRow {
	did := map[int64][]string{}
	add := func(job int64, what string) {
		if job != 0 && !slices.Contains(did[job], what) {
			did[job] = append(did[job], what)
		}
	}
	for _, e := range events {
		add(actorID(e.Actor, "job"), words(e.Kind))
	}
	for _, d := range deliveries {
		add(d.JobID, fmt.Sprintf("works delivery %d", d.ID))
	}
	var rows []jobRow
	for _, id := range slices.Sorted(maps.Keys(did)) {
		rows = append(rows, jobRow{id, strings.Join(did[id], ", ")})
	}
	return rows
}

// actorID is the number in "job/42" if it is one of that kind, else 0.
func actorID(actor, kind string) int64 {
	number, ok := strings.CutPrefix(actor, kind+"/")
	if !ok {
		return 0
	}
	return id(number)
}
