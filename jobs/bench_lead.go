package jobs

import (
	"context"
	"strings"

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
	l, err := schema.ReadBenchLead(ctx, s.Tx, args.LeadID)
	if err != nil {
		return err
	}
	l.Email, l.State, l.Score = strings.ToLower(l.Email), schema.StateOwned, (l.Score+1)%101
	schema.SaveBenchLead(s.Tx, args.LeadID, l, s.Now)
	schema.AddEvents(s.Tx, s.Job.Actor(), s.Now, schema.NewEvent{LeadID: args.LeadID, Kind: schema.Scored, Data: benchScored})
	return nil
}

var benchScored = map[string]string{"by": "bench"}
