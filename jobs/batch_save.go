package jobs

import (
	"context"
	"crypto/rand"
	"slices"
	"time"

	"github.com/leadmill/leadmill/lead/route"
	"github.com/leadmill/leadmill/lead/score"
	"github.com/leadmill/leadmill/schema"
)

// score rates the leads; one whose rating did not change has no event.
func (b *batch) score() {
	for _, l := range b.touched() {
		rating := score.Rate(l.Lead)
		if l.Parts != nil && slices.Equal(rating.Parts, l.Parts) {
			continue
		}
		l.Score, l.Parts = rating.Score, rating.Parts
		b.event(l.ID, schema.Scored, map[string]any{"score": rating.Score, "parts": rating.Parts})
	}
}

// route gives an owner to every lead that has none.
func (b *batch) route(ctx context.Context) error {
	var free []*schema.Lead
	for _, l := range b.touched() {
		if l.OwnerID == 0 {
			free = append(free, l)
		}
	}
	if len(free) == 0 {
		return nil
	}
	members, err := schema.Members(ctx, b.s.Tx)
	if err != nil {
		return err
	}
	if len(members) == 0 {
		b.leaveUnowned(free)
		return nil
	}
	turns, err := schema.DrawTurns(ctx, b.s.Tx, len(free))
	if err != nil {
		return err
	}
	picks := route.Assign(members, turns)
	for i, l := range free {
		b.assign(l, picks[i])
	}
	return nil
}

func (b *batch) assign(l *schema.Lead, p route.Pick) {
	l.State, l.OwnerID, l.OwnerReason = schema.StateOwned, p.UserID, p.Reason
	b.event(l.ID, schema.Assigned, map[string]any{
		"user_id": p.UserID, "reason": p.Reason, "turn": p.Turn, "weight": p.Weight, "credit": p.Credit, "total": p.Total, "among": p.Among,
	})
}

const nobody = "no active user has a weight above 0"

func (b *batch) leaveUnowned(leads []*schema.Lead) {
	for _, l := range leads {
		if l.State == schema.StateUnowned {
			continue
		}
		l.State, l.OwnerReason = schema.StateUnowned, nobody
		b.event(l.ID, schema.Unassigned, map[string]any{"reason": nobody})
	}
}

// save writes everything, plans the deliveries and enqueues them. All but the plan is queued and leaves with
// the last round trips.
func (b *batch) save(ctx context.Context) error {
	if leads := b.touched(); len(leads) > 0 {
		rows := make([]schema.Lead, len(leads))
		for i, l := range leads {
			rows[i] = *l
		}
		schema.SaveLeads(b.s.Tx, rows, b.s.Now)
	}
	schema.SettleIntakes(b.s.Tx, b.settled, b.s.Now)
	schema.CountVerdicts(b.s.Tx, b.intakes, b.settled)
	planned, err := b.plan(ctx)
	if err != nil {
		return err
	}
	schema.AddEvents(b.s.Tx, b.s.Job.Actor(), b.s.Now, b.events...)
	b.observe()
	return b.s.Enqueue(ctx, planned...)
}

// plan writes one delivery for each touched lead and destination. A stopped destination gets its deliveries too: they
// are parked when their turn comes, and can be sent once it is started again.
func (b *batch) plan(ctx context.Context) ([]Args, error) {
	if len(b.order) == 0 {
		return nil, nil
	}
	destinations, err := schema.ListDestinations(ctx, b.s.Tx)
	if err != nil || len(destinations) == 0 {
		return nil, err
	}
	var plans []schema.NewDelivery
	for _, id := range b.order {
		event := leadUpdated
		if b.isNew[id] {
			event = leadCreated
		}
		for _, d := range destinations {
			plans = append(plans, schema.NewDelivery{
				LeadID: id, DestinationID: d.ID, IntakeID: b.latest[id], Event: event, Key: "msg_" + rand.Text(),
			})
		}
	}
	planned, err := schema.PlanDeliveries(ctx, b.s.Tx, plans, b.s.Now)
	names := map[int64]string{}
	for _, d := range destinations {
		names[d.ID] = d.Name
	}
	jobs := make([]Args, len(planned))
	for i, p := range planned {
		jobs[i] = DeliverLead{DeliveryID: p.ID, DestinationID: p.DestinationID}
		b.event(p.LeadID, schema.DeliveryPlanned, map[string]any{"delivery": p.ID, "destination": names[p.DestinationID]})
	}
	return jobs, err
}

// observe reports, once it is committed, how long each intake took from the door to its verdict.
func (b *batch) observe() {
	q := b.s.q
	if q.options.OnDone == nil {
		return
	}
	received := make([]time.Time, len(b.intakes))
	for i, in := range b.intakes {
		received[i] = in.ReceivedAt
	}
	b.s.Tx.AfterCommit(func() {
		now := q.now()
		for _, at := range received {
			q.options.OnDone(now.Sub(at))
		}
	})
}
