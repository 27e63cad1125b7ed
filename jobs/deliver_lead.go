package jobs

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/leadmill/leadmill/schema"
)

// DeliverLead makes one delivery: it calls the destination's webhook with the lead as it stands.
//
// A delivery that is done, parked, or worked by another job is left alone.
type DeliverLead struct {
	DeliveryID int64 `json:"delivery_id"`
}

// Kind is deliver_lead.
func (DeliverLead) Kind() string { return "deliver_lead" }

// Queue is outbound.
func (DeliverLead) Queue() string { return Outbound }

// Events that a destination is told of.
const (
	leadCreated = "lead.created"
	leadUpdated = "lead.updated"
)

var deliverLead = stages[DeliverLead, call]{
	take:   takeDelivery,
	call:   makeCall,
	again:  callAgain,
	settle: settleDelivery,
}

// call is a delivery on its way, and how it went.
type call struct {
	delivery    schema.Delivery
	destination schema.Destination
	lead        schema.Lead
	answer      answer
}

// takeDelivery writes 'calling' before the call is made, so that a crash leaves its mark.
func takeDelivery(ctx context.Context, s *Scope, args DeliverLead) (c call, err error) {
	c.delivery, err = schema.TakeDelivery(ctx, s.Tx, args.DeliveryID, s.Job.ID, s.Now)
	if errors.Is(err, schema.ErrNotFound) {
		return c, errNothingToDo
	}
	if err != nil {
		return c, err
	}
	if c.destination, err = schema.GetDestination(ctx, s.Tx, c.delivery.DestinationID); err != nil {
		return c, err
	}
	c.lead, err = schema.GetLead(ctx, s.Tx, c.delivery.LeadID)
	return c, err
}

// makeCall answers for itself where nobody was called.
func makeCall(ctx context.Context, q *Queue, c call) (call, error) {
	if !c.destination.Active {
		c.answer = answer{text: "the destination is stopped: " + c.destination.StoppedReason}
		return c, nil
	}
	body, err := webhookBody(c.delivery, c.lead)
	if err != nil {
		return c, err
	}
	c.answer = q.caller.post(ctx, c.destination, c.delivery.Key, body, q.now())
	return c, ctx.Err()
}

// deliverySchedule is when a receiver that did not answer 2xx is called again: the one that Standard
// Webhooks recommends (https://www.standardwebhooks.com, "Retry schedule"), about three days in all.
var deliverySchedule = []time.Duration{
	5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour,
	10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
}

const longestWait = 24 * time.Hour

// callAgain follows the schedule, later if the receiver asked for it, and spread by up to a tenth so that a
// receiver that comes back is not met by everybody at once.
func callAgain(c call, now time.Time) time.Duration {
	if c.answer.taken() || c.answer.gone() || !c.destination.Active || c.delivery.Tries > len(deliverySchedule) {
		return 0
	}
	wait := deliverySchedule[c.delivery.Tries-1]
	wait += rand.N(wait / 10)
	return max(wait, min(c.answer.retryAfter, longestWait))
}

func settleDelivery(ctx context.Context, s *Scope, c call, wait time.Duration) error {
	v := c.delivery
	v.LastStatus, v.LastAnswer = c.answer.status, c.answer.text
	kind, data := schema.Delivered, map[string]any{
		"delivery": v.ID, "destination": v.Destination, "try": v.Tries, "status": c.answer.status,
	}
	v.State = schema.DeliveryDone
	switch {
	case c.answer.taken():
	case wait > 0:
		next := s.Now.Add(wait)
		v.State, v.NextAt, kind = schema.DeliveryRetrying, &next, schema.DeliveryRetry
		data["next_at"] = next
	default:
		v.State, kind = schema.DeliveryGivenUp, schema.DeliveryParked
		data["reason"] = c.whyParked()
	}
	settled, err := schema.SettleDelivery(ctx, s.Tx, v, s.Now)
	if err != nil || !settled {
		return err
	}
	if c.answer.gone() {
		schema.StopDestination(s.Tx, c.destination.ID, "it answered 410 Gone")
	}
	schema.AddEvents(s.Tx, s.Job.Actor(), s.Now, schema.NewEvent{LeadID: v.LeadID, Kind: kind, Data: data})
	return nil
}

func (c call) whyParked() string {
	switch {
	case !c.destination.Active:
		return c.answer.text
	case c.answer.gone():
		return "the destination answered 410 Gone and is stopped"
	default:
		return fmt.Sprintf("not taken in %d tries", c.delivery.Tries)
	}
}
