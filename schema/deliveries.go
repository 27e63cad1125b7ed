package schema

import (
	"context"
	"time"

	"github.com/leadmill/leadmill/dbctx"
)

// States of a delivery.
const (
	DeliveryPending   = "pending"
	DeliveryCalling   = "calling"  // written before the call: a crash leaves this behind
	DeliveryRetrying  = "retrying" // not taken yet; NextAt says when it is called again
	DeliveryDone      = "done"
	DeliveryGivenUp   = "parked"    // not taken; waits for a person
	DeliveryUncertain = "uncertain" // perhaps taken, and the receiver cannot tell a repeat; waits for a person
)

// Delivery is one effect to make at a destination.
type Delivery struct {
	ID, LeadID, DestinationID int64
	Destination               string
	Event                     string // "lead.created", "lead.updated"
	Key                       string // idempotency key, the same at every try
	State                     string
	Tries                     int
	LastStatus                int    // HTTP status of the last answer; 0 none
	LastAnswer                string // its beginning, or why there was none
	NextAt                    *time.Time
	CreatedAt, UpdatedAt      time.Time
	JobID                     int64 // the job that works it; 0 none yet
}

const deliveryColumns = `v.id, v.lead_id, v.destination_id, d.name, v.event, v.key, v.state, v.tries, v.last_status,
	v.last_answer, v.next_at, v.created_at, v.updated_at, v.job_id`

// fields are where deliveryColumns are read to.
func (v *Delivery) fields() []any {
	return []any{&v.ID, &v.LeadID, &v.DestinationID, &v.Destination, &v.Event, &v.Key, &v.State, &v.Tries,
		&v.LastStatus, &v.LastAnswer, &v.NextAt, &v.CreatedAt, &v.UpdatedAt, &v.JobID}
}

func scanDelivery(row dbctx.Scanner) (v Delivery, err error) { return v, row.Scan(v.fields()...) }

// NewDelivery is a delivery about to be planned.
type NewDelivery struct {
	LeadID        int64  `json:"lead_id"`
	DestinationID int64  `json:"destination_id"`
	IntakeID      int64  `json:"intake_id"` // the submission that caused it
	Event         string `json:"event"`
	Key           string `json:"key"`
}

// PlannedDelivery says which delivery a plan became.
type PlannedDelivery struct{ ID, LeadID, DestinationID int64 }

// PlanDeliveries writes deliveries that wait to be made, once for each lead, destination and intake.
func PlanDeliveries(ctx context.Context, tx *dbctx.Tx, plans []NewDelivery, now time.Time) ([]PlannedDelivery, error) {
	return dbctx.All(ctx, tx, scanPlanned, planDeliveries.on(tx), planDeliveries.args(tx, plans, now)...)
}

func scanPlanned(row dbctx.Scanner) (p PlannedDelivery, err error) {
	return p, row.Scan(&p.ID, &p.LeadID, &p.DestinationID)
}

var planDeliveries = columns(`INSERT INTO deliveries (lead_id, destination_id, intake_id, event, key, state, created_at, updated_at)
	SELECT r.lead_id, r.destination_id, r.intake_id, r.event, r.key, 'pending', $2::timestamptz, $2::timestamptz
	FROM {r: lead_id bigint, destination_id bigint, intake_id bigint, event text, key text}
	WHERE true ON CONFLICT (lead_id, destination_id, intake_id) DO NOTHING RETURNING id, lead_id, destination_id`)

// Candidate is a delivery that a job wants to make, locked, and where it goes.
type Candidate struct {
	Delivery
	To      Destination
	Place   int64         // in the line of the destination: not called before then, in microseconds since 1970 by the database's clock; 0 none
	Earlier int64         // an open delivery of the same lead to the same destination that comes first; 0 none
	Wait    time.Duration // until NextAt, by the clock that wakes jobs up: the database's; 0 or less if it has come, or there is none
}

// LockDelivery reads a delivery that is open and keeps it from changing until the scope ends. ErrNotFound if there is nothing
// to do: it is closed, or another job works it.
func LockDelivery(ctx context.Context, tx *dbctx.Tx, id, jobID int64) (c Candidate, err error) {
	var wait float64
	fields := append(c.fields(), &c.Place, &c.Earlier, &wait)
	err = tx.QueryRow(ctx, lockDelivery.on(tx), id, jobID).Scan(append(fields, c.To.fields()...)...)
	c.Wait = time.Duration(wait * float64(time.Second))
	return c, notFound(err, "delivery to make", id)
}

const isOpen = `state IN ('pending', 'calling', 'retrying')`

var lockDelivery = both(`SELECT ` + deliveryColumns + `, v.place, coalesce((SELECT max(e.id) FROM deliveries e
		WHERE e.lead_id = v.lead_id AND e.destination_id = v.destination_id AND e.id < v.id AND e.` + isOpen + `), 0), `).
	with(untilNext).with(both(`, ` + destinationColumns + `
	FROM deliveries v JOIN destinations d ON d.id = v.destination_id
	WHERE v.id = $1 AND v.` + isOpen + ` AND v.job_id IN (0, $2) FOR NO KEY UPDATE OF v`))

var untilNext = text{
	postgres: `coalesce(CAST(extract(epoch FROM v.next_at - clock_timestamp()) AS double precision), 0)`,
	sqlite:   `coalesce((julianday(v.next_at) - julianday('now')) * 86400.0, 0.0)`,
}

// StaysOpen waits until nobody changes a delivery any more and says whether it is open then. It stays so until the scope ends.
func StaysOpen(ctx context.Context, tx *dbctx.Tx, id int64) (bool, error) {
	err := tx.QueryRow(ctx, staysOpen.on(tx), id).Scan(&id)
	if err == dbctx.ErrNoRows {
		return false, nil
	}
	return err == nil, err
}

var staysOpen = both(`SELECT id FROM deliveries WHERE id = $1 AND ` + isOpen + ` FOR NO KEY UPDATE`)

// BeginCall marks a locked delivery as being called by this job and counts the try.
func BeginCall(tx *dbctx.Tx, v *Delivery, jobID int64, now time.Time) {
	v.State, v.JobID, v.NextAt = DeliveryCalling, jobID, nil
	v.Tries++
	tx.Queue(`UPDATE deliveries SET state = 'calling', tries = $2, job_id = $3, next_at = NULL, place = 0, updated_at = $4
		WHERE id = $1`, v.ID, v.Tries, jobID, now)
}

// HoldDelivery lets a locked delivery wait for the one before it: no job works it until that one is settled.
func HoldDelivery(tx *dbctx.Tx, id int64, now time.Time) {
	tx.Queue(`UPDATE deliveries SET state = 'pending', job_id = 0, next_at = NULL, place = 0, updated_at = $2
		WHERE id = $1 AND state <> 'pending'`, id, now)
}

// SavePlace gives a locked delivery its place in the line of the destination.
func SavePlace(tx *dbctx.Tx, id, place int64) {
	tx.Queue(`UPDATE deliveries SET place = $2 WHERE id = $1`, id, place)
}

// SettleDelivery records how a call ended, if it was the last try; the answer tells. A process that was stalled in its call
// finds that another has begun a try of its own, and leaves the delivery to it.
//
// next is the delivery of the same lead to the same destination that waits for its turn behind this one; 0 if there is none.
func SettleDelivery(ctx context.Context, tx *dbctx.Tx, v Delivery, now time.Time) (settled bool, next int64, err error) {
	// The lock comes first, by itself: who waits behind this delivery and looked at it meanwhile is seen by what follows.
	tx.Queue(lockRow.on(tx), v.ID)
	err = tx.QueryRow(ctx, settleDelivery, v.ID, v.JobID, v.State, v.LastStatus, v.LastAnswer, v.NextAt, now, v.Tries).Scan(&next)
	if err == dbctx.ErrNoRows {
		return false, 0, nil
	}
	return err == nil, next, err
}

var lockRow = both(`SELECT id FROM deliveries WHERE id = $1 FOR NO KEY UPDATE`)

// Only pending ones are looked for, in words that let SQLite see that the index of the open ones holds them all.
const settleDelivery = `UPDATE deliveries SET state = $3, last_status = $4, last_answer = $5, next_at = $6, updated_at = $7
	WHERE id = $1 AND job_id = $2 AND state = 'calling' AND tries = $8
	RETURNING coalesce((SELECT min(n.id) FROM deliveries n WHERE n.lead_id = deliveries.lead_id
		AND n.destination_id = deliveries.destination_id AND n.id > deliveries.id
		AND n.` + isOpen + ` AND n.state NOT IN ('calling', 'retrying')), 0)`

// ReopenDelivery makes a parked, uncertain or retrying delivery pending again, with all its tries before it, and says where it
// goes; ErrNotFound if it is none of these.
func ReopenDelivery(ctx context.Context, tx *dbctx.Tx, id int64, now time.Time) (destinationID int64, err error) {
	err = tx.QueryRow(ctx, `UPDATE deliveries SET state = 'pending', tries = 0, job_id = 0, next_at = NULL, place = 0, updated_at = $2
		WHERE id = $1 AND state IN ('parked', 'retrying', 'uncertain') RETURNING destination_id`, id, now).Scan(&destinationID)
	return destinationID, notFound(err, "delivery, parked, retrying or uncertain", id)
}

// ConfirmDelivery closes an uncertain delivery as done, and says whose it is; ErrNotFound if it is not uncertain.
func ConfirmDelivery(ctx context.Context, tx *dbctx.Tx, id int64, now time.Time) (leadID int64, err error) {
	err = tx.QueryRow(ctx, `UPDATE deliveries SET state = 'done', updated_at = $2
		WHERE id = $1 AND state = 'uncertain' RETURNING lead_id`, id, now).Scan(&leadID)
	return leadID, notFound(err, "uncertain delivery", id)
}

// GetDelivery returns one delivery or ErrNotFound.
func GetDelivery(ctx context.Context, tx *dbctx.Tx, id int64) (Delivery, error) {
	v, err := scanDelivery(tx.QueryRow(ctx, `SELECT `+deliveryColumns+`
		FROM deliveries v JOIN destinations d ON d.id = v.destination_id WHERE v.id = $1`, id))
	return v, notFound(err, "delivery", id)
}

// LeadDeliveries returns a lead's deliveries, oldest first.
func LeadDeliveries(ctx context.Context, tx *dbctx.Tx, leadID int64) ([]Delivery, error) {
	return dbctx.All(ctx, tx, scanDelivery, `SELECT `+deliveryColumns+`
		FROM deliveries v JOIN destinations d ON d.id = v.destination_id WHERE v.lead_id = $1 ORDER BY v.id`, leadID)
}

// FailedDeliveries returns deliveries that were not taken or perhaps not, retrying, parked and uncertain, newest first.
func FailedDeliveries(ctx context.Context, tx *dbctx.Tx, before int64, n int) ([]Delivery, error) {
	w := where{conditions: []string{"v.state IN ('retrying', 'parked', 'uncertain')"}}
	w.add(before != 0, "v.id < $%d", before)
	return dbctx.All(ctx, tx, scanDelivery, `SELECT `+deliveryColumns+`
		FROM deliveries v JOIN destinations d ON d.id = v.destination_id `+w.sql()+` ORDER BY v.id DESC `+limit(n), w.args...)
}

// OpenDeliveries counts deliveries that are neither done nor wait for a person.
func OpenDeliveries(ctx context.Context, tx *dbctx.Tx) (n int64, err error) {
	err = tx.QueryRow(ctx, `SELECT count(*) FROM deliveries WHERE `+isOpen).Scan(&n)
	return n, err
}
