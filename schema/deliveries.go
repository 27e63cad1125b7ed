package schema

import (
	"context"
	"fmt"
	"time"

	"github.com/leadmill/leadmill/dbctx"
)

// States of a delivery.
const (
	DeliveryPending  = "pending"
	DeliveryCalling  = "calling"  // written before the call: a crash leaves this behind
	DeliveryRetrying = "retrying" // not taken yet; NextAt says when it is called again
	DeliveryDone     = "done"
	DeliveryGivenUp  = "parked" // waits for a person
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

func scanDelivery(row dbctx.Scanner) (v Delivery, err error) {
	return v, row.Scan(&v.ID, &v.LeadID, &v.DestinationID, &v.Destination, &v.Event, &v.Key, &v.State, &v.Tries,
		&v.LastStatus, &v.LastAnswer, &v.NextAt, &v.CreatedAt, &v.UpdatedAt, &v.JobID)
}

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
	return dbctx.All(ctx, tx, scanPlanned, planDeliveries.on(tx), set(plans), now)
}

func scanPlanned(row dbctx.Scanner) (p PlannedDelivery, err error) {
	return p, row.Scan(&p.ID, &p.LeadID, &p.DestinationID)
}

var planDeliveries = both(`INSERT INTO deliveries (lead_id, destination_id, intake_id, event, key, state, created_at, updated_at)
	SELECT r.lead_id, r.destination_id, r.intake_id, r.event, r.key, 'pending', $2::timestamptz, $2::timestamptz
	FROM {r: lead_id bigint, destination_id bigint, intake_id bigint, event text, key text}
	WHERE true ON CONFLICT (lead_id, destination_id, intake_id) DO NOTHING RETURNING id, lead_id, destination_id`)

// TakeDelivery marks a delivery as being called by this job and counts the try. ErrNotFound if there is
// nothing to do: it is done or parked, or another job works it.
func TakeDelivery(ctx context.Context, tx *dbctx.Tx, id, jobID int64, now time.Time) (Delivery, error) {
	n, err := tx.Exec(ctx, `UPDATE deliveries SET state = 'calling', tries = tries + 1, job_id = $2, next_at = NULL, updated_at = $3
		WHERE id = $1 AND state IN ('pending', 'calling', 'retrying') AND job_id IN (0, $2)`, id, jobID, now)
	if err != nil {
		return Delivery{}, err
	}
	if n == 0 {
		return Delivery{}, fmt.Errorf("delivery %d to make: %w", id, ErrNotFound)
	}
	return GetDelivery(ctx, tx, id)
}

// SettleDelivery records how a call ended, if it was the last try; the answer tells. A process that was stalled in its call
// finds that another has begun a try of its own, and leaves the delivery to it.
func SettleDelivery(ctx context.Context, tx *dbctx.Tx, v Delivery, now time.Time) (settled bool, err error) {
	n, err := tx.Exec(ctx, `UPDATE deliveries SET state = $3, last_status = $4, last_answer = $5, next_at = $6, updated_at = $7
		WHERE id = $1 AND job_id = $2 AND state = 'calling' AND tries = $8`,
		v.ID, v.JobID, v.State, v.LastStatus, v.LastAnswer, v.NextAt, now, v.Tries)
	return n == 1, err
}

// ReopenDelivery makes a parked or retrying delivery pending again, with all its tries before it;
// ErrNotFound if it is neither.
func ReopenDelivery(ctx context.Context, tx *dbctx.Tx, id int64, now time.Time) error {
	n, err := tx.Exec(ctx, `UPDATE deliveries SET state = 'pending', tries = 0, job_id = 0, next_at = NULL, updated_at = $2
		WHERE id = $1 AND state IN ('parked', 'retrying')`, id, now)
	if err == nil && n == 0 {
		return fmt.Errorf("delivery %d, parked or retrying: %w", id, ErrNotFound)
	}
	return err
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

// FailedDeliveries returns deliveries that were not taken, retrying and parked, newest first.
func FailedDeliveries(ctx context.Context, tx *dbctx.Tx, before int64, n int) ([]Delivery, error) {
	w := where{conditions: []string{"v.state IN ('retrying', 'parked')"}}
	w.add(before != 0, "v.id < $%d", before)
	return dbctx.All(ctx, tx, scanDelivery, `SELECT `+deliveryColumns+`
		FROM deliveries v JOIN destinations d ON d.id = v.destination_id `+w.sql()+` ORDER BY v.id DESC `+limit(n), w.args...)
}

// OpenDeliveries counts deliveries that are neither done nor parked.
func OpenDeliveries(ctx context.Context, tx *dbctx.Tx) (n int64, err error) {
	err = tx.QueryRow(ctx, `SELECT count(*) FROM deliveries WHERE state IN ('pending', 'calling', 'retrying')`).Scan(&n)
	return n, err
}
