package jobs

import (
	"context"
	"slices"
	"time"

	"github.com/leadmill/leadmill/lead/intake"
	"github.com/leadmill/leadmill/schema"
)

// ProcessLeads brings intakes to a verdict: cleaned, matched, absorbed, scored, routed, and their
// deliveries planned. One from the web or 500 from a file take the same way.
//
// An intake that has its verdict already is left alone.
type ProcessLeads struct {
	IntakeIDs []int64   `json:"intake_ids"`
	Lane      string    `json:"-"` // Live or Bulk; "" means Live
	turn      time.Time // its place in the lane; zero means behind those that wait
}

// Kind is process_leads.
func (ProcessLeads) Kind() string { return "process_leads" }

// Queue is the lane it was sent to.
func (a ProcessLeads) Queue() string {
	if a.Lane == "" {
		return Live
	}
	return a.Lane
}

// processLeads takes, decides, saves and tells. The locks are taken in the same order by every worker:
// intakes, match keys, leads, chunks of files, each sorted; so no two wait for each other in a circle.
func processLeads(ctx context.Context, s *Scope, args ProcessLeads) error {
	intakes, err := schema.TakeIntakes(ctx, s.Tx, args.IntakeIDs)
	if err != nil || len(intakes) == 0 {
		return err
	}
	mappings, err := mappingsOf(ctx, s, intakes)
	if err != nil {
		return err
	}
	b := newBatch(s, intakes, mappings)
	if err := b.match(ctx); err != nil {
		return err
	}
	b.absorb()
	b.score()
	if err := b.route(ctx); err != nil {
		return err
	}
	return b.save(ctx)
}

// mappingsOf asks what the columns of the files mean that intakes came from.
func mappingsOf(ctx context.Context, s *Scope, intakes []schema.Intake) (map[int64]intake.Mapping, error) {
	var ids []int64
	for _, in := range intakes {
		if in.ImportID != 0 && !slices.Contains(ids, in.ImportID) {
			ids = append(ids, in.ImportID)
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	return schema.ImportMappings(ctx, s.Tx, ids)
}
