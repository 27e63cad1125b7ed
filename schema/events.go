package schema

import (
	"context"
	"encoding/json"
	"time"

	"github.com/leadmill/leadmill/dbctx"
)

// Kinds of events. Together they tell a lead's story and are enough to rebuild its row.
const (
	Received          = "received"           // a submission founded the lead
	Absorbed          = "absorbed"           // another submission of the same person
	PhoneShared       = "phone_shared"       // its telephone number belongs to another lead
	Scored            = "scored"             //
	Assigned          = "assigned"           // somebody owns it now
	Unassigned        = "unassigned"         // nobody could take it
	DeliveryPlanned   = "delivery_planned"   //
	Delivered         = "delivered"          // the receiver took it
	DeliveryRetry     = "delivery_retry"     // the receiver did not take it; it will be called again
	DeliveryParked    = "delivery_parked"    // given up until a person decides
	DeliveryDoubted   = "delivery_uncertain" // perhaps taken; a person finds out
	DeliveryConfirmed = "delivery_confirmed" // a person found out: it was taken
	Reverted          = "reverted"           // the import that founded it was undone, and the lead with it: the end of its story
)

// Event is one thing that happened to a lead.
type Event struct {
	ID     int64
	LeadID int64
	At     time.Time
	Kind   string
	Actor  string          // "job/42", "user/7"
	Data   json.RawMessage // an object; its fields depend on the kind
}

// NewEvent is an event about to be written. Data is marshalled to a JSON object.
type NewEvent struct {
	LeadID int64  `json:"lead_id"`
	Kind   string `json:"kind"`
	Data   any    `json:"data"`
}

// AddEvents writes events in this order.
func AddEvents(tx *dbctx.Tx, actor string, at time.Time, events ...NewEvent) {
	switch len(events) {
	case 0:
		return
	case 1: // a set of one costs the database a quarter of a job's time
		e := events[0]
		tx.Queue(addEvent, e.LeadID, at, e.Kind, actor, string(must(json.Marshal(e.Data))))
		return
	}
	type row struct {
		NewEvent
		No int `json:"no"`
	}
	rows := make([]row, len(events))
	for i, e := range events {
		rows[i] = row{e, i}
	}
	tx.Queue(addEvents.on(tx), addEvents.args(tx, rows, at, actor)...)
}

const addEvent = `INSERT INTO events (lead_id, at, kind, actor, data) VALUES ($1, $2, $3, $4, $5)`

var addEvents = columns(`INSERT INTO events (lead_id, at, kind, actor, data)
	SELECT r.lead_id, $2::timestamptz, r.kind, $3::text, r.data
	FROM {r: lead_id bigint, kind text, data json, no integer} ORDER BY r.no`)

// LeadEvents returns the story of a lead, oldest first.
func LeadEvents(ctx context.Context, tx *dbctx.Tx, leadID int64) ([]Event, error) {
	return dbctx.All(ctx, tx, scanEvent, `SELECT id, lead_id, at, kind, actor, data FROM events
		WHERE lead_id = $1 ORDER BY id`, leadID)
}

func scanEvent(row dbctx.Scanner) (e Event, err error) {
	var data string
	err = row.Scan(&e.ID, &e.LeadID, &e.At, &e.Kind, &e.Actor, &data)
	e.Data = json.RawMessage(data)
	return e, err
}
