package schema

import (
	"context"
	"time"

	"github.com/leadmill/leadmill/dbctx"
)

// States of a fetch.
const (
	FetchOpen   = "open"
	FetchDone   = "done"   // there is an intake
	FetchParked = "parked" // given up; its job says why and can be retried
)

// Fetch is a lead that Meta has told of and that is to be fetched by its id.
type Fetch struct {
	ID, SourceID int64
	Ref          string // leadgen_id
	Notice       string // what was told, a JSON object as it came
	State        string
	Tries        int
	Reason       string // why it was not fetched at the last try; "" none
	IntakeID     int64  // 0 until it is done
}

// NewFetch is a fetch about to be stored.
type NewFetch struct {
	SourceID int64  `json:"source_id"`
	Ref      string `json:"ref"`
	Notice   string `json:"notice"`
}

// InsertFetches stores fetches and returns the ids of those that were not told of before.
func InsertFetches(ctx context.Context, tx *dbctx.Tx, fetches []NewFetch, now time.Time) ([]int64, error) {
	return dbctx.All(ctx, tx, scanID, insertFetches.on(tx), set(fetches), now)
}

// They are inserted in order, so that two notifications of the same leads do not wait for each other in a circle.
var insertFetches = both(`INSERT INTO fetches (source_id, ref, notice, created_at, updated_at)
	SELECT r.source_id, r.ref, r.notice, $2::timestamptz, $2::timestamptz
	FROM {r: source_id bigint, ref text, notice text}
	WHERE true ORDER BY r.source_id, r.ref
	ON CONFLICT (source_id, ref) DO NOTHING RETURNING id`)

// GetFetch returns a fetch and the hook of Meta that it came through; the zero Hook if that was removed. ErrNotFound if
// there is no such fetch.
func GetFetch(ctx context.Context, tx *dbctx.Tx, id int64) (f Fetch, h Hook, err error) {
	var source string
	err = tx.QueryRow(ctx, `SELECT f.id, f.source_id, s.name, f.ref, f.notice, f.state, f.tries, f.reason, coalesce(f.intake_id, 0)
		FROM fetches f JOIN sources s ON s.id = f.source_id WHERE f.id = $1`, id).
		Scan(&f.ID, &f.SourceID, &source, &f.Ref, &f.Notice, &f.State, &f.Tries, &f.Reason, &f.IntakeID)
	if err != nil {
		return f, h, notFound(err, "fetch", id)
	}
	err = tx.QueryRow(ctx, `SELECT `+hookColumns+` FROM hooks h JOIN sources s ON s.id = h.source_id
		WHERE h.source_id = $1 AND h.kind = 'meta'`, f.SourceID).Scan(h.fields()...)
	if err == dbctx.ErrNoRows {
		return f, Hook{}, nil
	}
	return f, h, err
}

// LockFetch keeps a fetch from changing until the scope ends, and says how it stands.
func LockFetch(ctx context.Context, tx *dbctx.Tx, id int64) (state string, tries int, err error) {
	err = tx.QueryRow(ctx, lockFetch.on(tx), id).Scan(&state, &tries)
	return state, tries, notFound(err, "fetch", id)
}

var lockFetch = both(`SELECT f.state, f.tries FROM fetches f WHERE f.id = $1 FOR NO KEY UPDATE OF f`)

// SettleFetch writes down how a try went: State, Tries, Reason and IntakeID.
func SettleFetch(tx *dbctx.Tx, f Fetch, now time.Time) {
	tx.Queue(settleFetch.on(tx), f.ID, f.State, f.Tries, f.Reason, f.IntakeID, now)
}

var settleFetch = both(`UPDATE fetches SET state = $2, tries = $3, reason = $4, intake_id = nullif($5::bigint, 0), updated_at = $6
	WHERE id = $1`)
