package jobs

import (
	"context"

	"github.com/leadmill/leadmill/schema"
)

// RouteLeads gives owners to leads that came when nobody could take them, oldest first, and tells the destinations. It
// is enqueued when somebody joins who can.
type RouteLeads struct{}

// Kind is route_leads.
func (RouteLeads) Kind() string { return "route_leads" }

// Queue is bulk.
func (RouteLeads) Queue() string { return Bulk }

func routeLeads(ctx context.Context, s *Scope, _ RouteLeads) error {
	ids, err := schema.UnownedLeads(ctx, s.Tx, chunkRows)
	if err != nil || len(ids) == 0 {
		return err
	}
	leads, err := schema.LockLeads(ctx, s.Tx, ids)
	if err != nil {
		return err
	}
	b := newBatch(s, nil, nil)
	for _, l := range leads {
		if l.State == schema.StateUnowned { // nobody was quicker
			b.leads[l.ID] = &l
			b.order = append(b.order, l.ID)
		}
	}
	if err := b.route(ctx); err != nil || len(b.events) == 0 { // nobody is there after all
		return err
	}
	if err := b.save(ctx); err != nil || len(ids) < chunkRows {
		return err
	}
	return s.Enqueue(ctx, RouteLeads{})
}
