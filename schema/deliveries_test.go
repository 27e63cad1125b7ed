package schema_test

import (
	"context"
	"testing"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/schema"
)

func TestOnlyTheLastTrySettlesADelivery(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, tx *dbctx.Tx) {
		d := must[schema.Destination](t)(schema.InsertDestination(ctx, tx, schema.Destination{Name: "crm", URL: "https://crm.example", Secret: "s"}, at))
		schema.SaveLeads(tx, []schema.Lead{aLead(1, nil)}, at)
		plan := schema.NewDelivery{LeadID: 1, DestinationID: d.ID, IntakeID: 1, Event: "lead.created", Key: "k"}
		planned := must[[]schema.PlannedDelivery](t)(schema.PlanDeliveries(ctx, tx, []schema.NewDelivery{plan}, at))
		const job = 5
		begin := func() schema.Delivery {
			v := must[schema.Candidate](t)(schema.LockDelivery(ctx, tx, planned[0].ID, job)).Delivery
			schema.BeginCall(tx, &v, job, at)
			return v
		}
		stalled, second := begin(), begin()
		stalled.State, second.State = schema.DeliveryRetrying, schema.DeliveryDone
		if settled, _, err := schema.SettleDelivery(ctx, tx, stalled, at); settled || err != nil {
			t.Error("the first try settled while the second was on its way")
		}
		if settled, _, err := schema.SettleDelivery(ctx, tx, second, at); !settled || err != nil {
			t.Error("the second try did not settle")
		}
	})
}
