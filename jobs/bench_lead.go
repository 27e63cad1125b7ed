package jobs

import (
	"context"

	"github.com/leadmill/leadmill/schema"
)

// BenchLead is the unit that leadmill bench counts: read a lead, change it, add an event, done, in one commit. It is
// enqueued by nothing else.
type BenchLead struct {
	LeadID int64 `json:"lead_id"`
}

// Kind is bench_lead.
func (BenchLead) Kind() string { return "bench_lead" }

// Queue is live.
func (BenchLead) Queue() string { return Live }

func benchLead(ctx context.Context, s *Scope, args BenchLead) error {
	l, err := schema.GetLead(ctx, s.Tx, args.LeadID)
	if err != nil {
		return err
	}
	schema.SetScore(s.Tx, l.ID, (l.Score+1)%101, s.Now)
	schema.AddEvents(s.Tx, s.Job.Actor(), s.Now, schema.NewEvent{LeadID: l.ID, Kind: schema.Scored, Data: map[string]any{"by": "bench"}})
	return nil
}
