package jobs

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/schema"
)

// DeliverLead makes one delivery: it calls the destination's webhook with the lead as it stands.
//
// A delivery that is done, waits for a person, or is worked by another job is left alone. So is one behind another of the same
// lead to the same destination: whoever settles that one enqueues it.
//
// On its way a delivery passes three doors: the gate of this process (a share of its workers for each destination, and the
// breaker), its turn among those of the same lead, and the limits that the destination has over the whole fleet. It may be
// put off at the first and the last; that counts no try.
type DeliverLead struct {
	DeliveryID    int64 `json:"delivery_id"`
	DestinationID int64 `json:"destination_id,omitempty"` // for the gate; 0 means that it is to be looked up
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
	enter:  enterGate,
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
	took        time.Duration // 0: nobody was called
}

// enterGate comes before everything else, so that a delivery which is put off there costs the database nothing.
func enterGate(ctx context.Context, q *Queue, args DeliverLead) (leave func(call), err error) {
	if args.DestinationID == 0 {
		if args.DestinationID, err = q.destinationOf(ctx, args.DeliveryID); err != nil {
			return nil, err
		}
	}
	pass, wait, err := q.gates.of(args.DestinationID).enter(ctx)
	if err != nil {
		return nil, err
	}
	if wait > 0 {
		return nil, again{wait}
	}
	return func(c call) { pass.leave(c.took, c.answer) }, nil
}

func (q *Queue) destinationOf(ctx context.Context, deliveryID int64) (id int64, err error) {
	err = dbctx.Run(ctx, q.db, func(ctx context.Context, tx *dbctx.Tx) error {
		v, err := schema.GetDelivery(ctx, tx, deliveryID)
		id = v.DestinationID
		return err
	}, dbctx.ReadOnly())
	if errors.Is(err, schema.ErrNotFound) {
		return 0, errNothingToDo
	}
	return id, err
}

// takeDelivery writes 'calling' before the call is made, so that a crash leaves its mark. Who finds the mark of a crashed try of
// its own job calls again under the same key, or leaves it to a person where a repeat would not be noticed.
func takeDelivery(ctx context.Context, s *Scope, args DeliverLead) (c call, err error) {
	found, err := lockInTurn(ctx, s, args.DeliveryID)
	if err != nil {
		return c, err
	}
	c.delivery, c.destination = found.Delivery, found.To
	if found.State == schema.DeliveryCalling && found.To.NotIdempotent {
		c.answer = answer{text: "the call was cut off before its answer was written down", sent: true}
		if err := settleDelivery(ctx, s, c, 0); err != nil {
			return c, err
		}
		return c, dbctx.Keep(errNothingToDo)
	}
	if found.State == schema.DeliveryRetrying && found.Wait > 0 {
		return c, again{found.Wait} // it was woken up too early: that it sleeps could not be written down
	}
	if found.To.Active && found.To.Limited() {
		if err := awaitTurn(ctx, s, found); err != nil {
			return c, err
		}
	}
	schema.BeginCall(s.Tx, &c.delivery, s.Job.ID, s.Now)
	c.lead, err = schema.GetLead(ctx, s.Tx, c.delivery.LeadID)
	return c, err
}

// lockInTurn locks the delivery if no other of the same lead to the same destination comes before it. Otherwise there is nothing
// to do: looked at with the earlier one locked, so whoever settles that one sees afterwards that this one waits.
func lockInTurn(ctx context.Context, s *Scope, id int64) (schema.Candidate, error) {
	for {
		found, err := schema.LockDelivery(ctx, s.Tx, id, s.Job.ID)
		if errors.Is(err, schema.ErrNotFound) {
			return found, errNothingToDo
		}
		if err != nil || found.Earlier == 0 || found.State == schema.DeliveryCalling {
			return found, err
		}
		open, err := schema.StaysOpen(ctx, s.Tx, found.Earlier)
		if err != nil {
			return found, err
		}
		if open {
			schema.HoldDelivery(s.Tx, id, s.Now)
			return found, dbctx.Keep(errNothingToDo)
		}
	}
}

// makeCall answers for itself where nobody was called. A call that was interrupted because the process stops is made again at
// once where a repeat does no harm; elsewhere it ends like any other call without an answer.
func makeCall(ctx context.Context, q *Queue, c call) (call, error) {
	if !c.destination.Active {
		c.answer = answer{text: "the destination is stopped: " + c.destination.StoppedReason}
		return c, nil
	}
	body, err := webhookBody(c.delivery, c.lead)
	if err != nil {
		return c, err
	}
	began := time.Now()
	c.answer = q.caller.post(ctx, c.destination, c.delivery.Key, body, q.now())
	c.took = max(1, time.Since(began))
	if c.answer.interrupted && !c.destination.NotIdempotent {
		return c, ctx.Err()
	}
	return c, nil
}

// deliverySchedule is when a receiver that did not answer 2xx is called again: the one that Standard
// Webhooks recommends (https://www.standardwebhooks.com, "Retry schedule"), about three days in all.
var deliverySchedule = []time.Duration{
	5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour,
	10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
}

const longestWait = 24 * time.Hour

// state is what becomes of the delivery.
func (c call) state() string {
	switch {
	case c.answer.taken():
		return schema.DeliveryDone
	case c.destination.NotIdempotent && c.answer.perhapsTaken():
		return schema.DeliveryUncertain
	case !c.destination.Active, c.answer.gone(), c.answer.refused(), c.delivery.Tries > len(deliverySchedule):
		return schema.DeliveryGivenUp
	default:
		return schema.DeliveryRetrying
	}
}

// callAgain follows the schedule, later if the receiver asked for it, and spread by up to a tenth so that a
// receiver that comes back is not met by everybody at once.
func callAgain(c call, _ time.Time) time.Duration {
	if c.state() != schema.DeliveryRetrying {
		return 0
	}
	wait := deliverySchedule[c.delivery.Tries-1]
	wait += rand.N(wait / 10)
	return max(wait, min(c.answer.retryAfter, longestWait))
}

// overtakenWait is longer than any call: by then whoever called last has settled.
const overtakenWait = time.Minute

// settleDelivery writes down how it went and, if that closes the delivery, lets the one behind it go on.
//
// Who was overtaken by a later try leaves the delivery to that one. It must not commit, for the fence would keep the other one
// from settling, nor end the job, whose row they share: the other one may want to call again.
func settleDelivery(ctx context.Context, s *Scope, c call, wait time.Duration) error {
	v := c.delivery
	v.State, v.LastStatus, v.LastAnswer = c.state(), c.answer.status, c.answer.advice()
	data := map[string]any{"delivery": v.ID, "destination": v.Destination, "try": v.Tries, "status": c.answer.status}
	switch v.State {
	case schema.DeliveryRetrying:
		next := s.Now.Add(wait)
		v.NextAt, data["next_at"] = &next, next
	case schema.DeliveryUncertain, schema.DeliveryGivenUp:
		data["reason"] = c.why()
	}
	settled, next, err := schema.SettleDelivery(ctx, s.Tx, v, s.Now)
	if err != nil {
		return err
	}
	if !settled {
		return again{overtakenWait}
	}
	if c.answer.gone() {
		schema.StopDestination(s.Tx, c.destination.ID, "it answered 410 Gone")
	}
	schema.AddEvents(s.Tx, s.Job.Actor(), s.Now, schema.NewEvent{LeadID: v.LeadID, Kind: deliveryEvents[v.State], Data: data})
	if next == 0 || v.State == schema.DeliveryRetrying {
		return nil
	}
	return s.Enqueue(ctx, DeliverLead{DeliveryID: next, DestinationID: v.DestinationID})
}

// deliveryEvents tell of the states that a call can end in.
var deliveryEvents = map[string]string{
	schema.DeliveryDone:      schema.Delivered,
	schema.DeliveryRetrying:  schema.DeliveryRetry,
	schema.DeliveryGivenUp:   schema.DeliveryParked,
	schema.DeliveryUncertain: schema.DeliveryDoubted,
}

// why says for what reason a delivery waits for a person.
func (c call) why() string {
	switch {
	case c.state() == schema.DeliveryUncertain && c.answer.status != 0:
		return fmt.Sprintf("it may have been taken, although the answer was %d", c.answer.status)
	case c.state() == schema.DeliveryUncertain:
		return "it may have been taken: " + c.answer.text
	case !c.destination.Active:
		return c.answer.text
	case c.answer.gone():
		return "the destination answered 410 Gone and is stopped"
	case c.answer.refused():
		return fmt.Sprintf("the destination will not take this: it answered %d", c.answer.status)
	default:
		return fmt.Sprintf("not taken in %d tries", c.delivery.Tries)
	}
}
