package schema

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/lead"
)

// NewIntake is a submission about to be stored.
type NewIntake struct {
	SourceID  int64
	Key       string // the sender's idempotency key; "" none
	Hash      string // SHA-256, hex, of what is the same when it is sent again
	Payload   string // a JSON object, byte for byte as it came
	Format    string // how it is read: "" by the names of its keys, else as hook.Read does; InsertRows knows "" only
	Suspicion string // code of the trap that it went into; "" none
	ImportID  int64  // the file it was read from; 0 none
	Row       int64  // its row in that file, or its place in a batch, from 1
}

// Intake is a submission and what became of it.
type Intake struct {
	ID, SourceID int64
	Source       string
	Country      string // of the source
	Status       lead.Verdict
	LeadID       int64 // 0 until accepted or found to be a duplicate
	Reasons      []lead.Reason
	Payload      string
	Format       string // how it is read; see NewIntake
	Suspicion    string // code of the trap that it went into; "" none
	ReceivedAt   time.Time
	DoneAt       *time.Time
	ImportID     int64      // 0 none
	Row          int64      // 0 none
	Released     bool       // a person let it out of quarantine
	RevertedAt   *time.Time // its import was undone; nil it was not
}

const intakeColumns = `i.id, i.source_id, s.name, s.country, i.status, coalesce(i.lead_id, 0), i.reasons, i.payload,
	i.format, i.suspicion, i.received_at, i.done_at, coalesce(i.import_id, 0), coalesce(i.row_no, 0), i.released, i.reverted_at`

func scanIntake(row dbctx.Scanner) (Intake, error) {
	var i Intake
	var reasons string
	err := row.Scan(&i.ID, &i.SourceID, &i.Source, &i.Country, &i.Status, &i.LeadID, &reasons, &i.Payload,
		&i.Format, &i.Suspicion, &i.ReceivedAt, &i.DoneAt, &i.ImportID, &i.Row, &i.Released, &i.RevertedAt)
	if err != nil {
		return i, err
	}
	return i, json.Unmarshal([]byte(reasons), &i.Reasons)
}

// InsertIntake stores one submission. If the source has sent this key before, the earlier intake's id is
// returned with replayed set; with another body behind it, ErrKeyReused as well. Of two that arrive at once, the
// second waits for the first to commit.
func InsertIntake(ctx context.Context, tx *dbctx.Tx, in NewIntake, now time.Time) (id int64, replayed bool, err error) {
	err = tx.QueryRow(ctx, insertIntake.on(tx), in.SourceID, in.Key, in.Hash, in.Payload, in.Format, in.Suspicion, now).Scan(&id)
	if err != dbctx.ErrNoRows {
		return id, false, err
	}
	var hash string
	err = tx.QueryRow(ctx, `SELECT id, hash FROM intakes WHERE source_id = $1 AND key = $2`, in.SourceID, in.Key).Scan(&id, &hash)
	if err == nil && hash != in.Hash {
		return id, false, ErrKeyReused
	}
	return id, err == nil, err
}

var insertIntake = both(`INSERT INTO intakes (source_id, key, hash, payload, format, suspicion, received_at)
	VALUES ($1, nullif($2::text, ''), $3, $4, $5, $6, $7)
	ON CONFLICT (source_id, key) WHERE key IS NOT NULL DO NOTHING RETURNING id`)

// InsertRows stores many submissions at once and returns the new ids, in order of their rows; of a file at most one for each
// row. Idempotency keys are not looked at.
func InsertRows(ctx context.Context, tx *dbctx.Tx, rows []NewIntake, now time.Time) ([]int64, error) {
	sent := make([]intakeRow, len(rows))
	for n, in := range rows {
		sent[n] = intakeRow{in.SourceID, in.Hash, in.Payload, in.Suspicion, in.ImportID, in.Row}
	}
	ids, err := dbctx.All(ctx, tx, scanID, insertRows.on(tx), insertRows.args(tx, sent, now)...)
	slices.Sort(ids) // they are given in the order of the rows
	return ids, err
}

type intakeRow struct {
	SourceID  int64  `json:"source_id"`
	Hash      string `json:"hash"`
	Payload   string `json:"payload"`
	Suspicion string `json:"suspicion"`
	ImportID  int64  `json:"import_id"`
	Row       int64  `json:"row_no"`
}

var insertRows = columns(`INSERT INTO intakes (source_id, hash, payload, suspicion, import_id, row_no, received_at)
	SELECT r.source_id, r.hash, r.payload, r.suspicion, nullif(r.import_id, 0), CASE WHEN r.import_id <> 0 THEN r.row_no END, $2::timestamptz
	FROM {r: source_id bigint, hash text, payload text, suspicion text, import_id bigint, row_no bigint}
	WHERE true ORDER BY r.row_no
	ON CONFLICT (import_id, row_no) WHERE import_id IS NOT NULL DO NOTHING RETURNING id`)

func scanID(row dbctx.Scanner) (id int64, err error) { return id, row.Scan(&id) }

// TakeIntakes locks intakes, in order of their ids, and returns those that have no verdict yet.
//
// The status is looked at here and not in the statement: PostgreSQL would walk the index of pending intakes, which
// its statistics call empty just before a big file makes it long.
func TakeIntakes(ctx context.Context, tx *dbctx.Tx, ids []int64) ([]Intake, error) {
	intakes, err := dbctx.All(ctx, tx, scanIntake, takeIntakes.on(tx), takeIntakes.args(tx, idRows(ids))...)
	return slices.DeleteFunc(intakes, func(i Intake) bool { return i.Status != lead.Pending }), err
}

var takeIntakes = columns(`SELECT ` + intakeColumns + ` FROM intakes i JOIN sources s ON s.id = i.source_id
	WHERE i.id IN (SELECT r.id FROM {r: id bigint}) ORDER BY i.id FOR UPDATE OF i`)

// Settled is the verdict on an intake.
type Settled struct {
	ID      int64         `json:"id"`
	Status  lead.Verdict  `json:"status"`
	LeadID  int64         `json:"lead_id"` // 0 none
	Reasons []lead.Reason `json:"reasons"`
}

// SettleIntakes writes the verdicts.
func SettleIntakes(tx *dbctx.Tx, settled []Settled, now time.Time) {
	if len(settled) == 0 {
		return
	}
	for i := range settled {
		if settled[i].Reasons == nil {
			settled[i].Reasons = []lead.Reason{}
		}
	}
	tx.Queue(settleIntakes.on(tx), settleIntakes.args(tx, settled, now)...)
}

var settleIntakes = columns(`UPDATE intakes SET status = r.status, lead_id = nullif(r.lead_id, 0), reasons = r.reasons, done_at = $2
	FROM {r: id bigint, status text, lead_id bigint, reasons jsonb} WHERE intakes.id = r.id`)

// ReleaseIntake puts a quarantined intake back to pending; ErrNotFound if it is not in quarantine, or its import was undone.
func ReleaseIntake(ctx context.Context, tx *dbctx.Tx, id int64) error {
	var importID, row int64
	err := tx.QueryRow(ctx, `UPDATE intakes SET status = 'pending', released = true, done_at = NULL
		WHERE id = $1 AND status = 'quarantined' AND reverted_at IS NULL
		RETURNING coalesce(import_id, 0), coalesce(row_no, 0)`, id).Scan(&importID, &row)
	if err != nil {
		return notFound(err, "quarantined intake", id)
	}
	if importID != 0 {
		countChunks(tx, chunkCount{ImportID: importID, FirstRow: chunkOf(row), Quarantined: -1})
	}
	return nil
}

// GetIntake returns one intake or ErrNotFound.
func GetIntake(ctx context.Context, tx *dbctx.Tx, id int64) (Intake, error) {
	i, err := scanIntake(tx.QueryRow(ctx, `SELECT `+intakeColumns+`
		FROM intakes i JOIN sources s ON s.id = i.source_id WHERE i.id = $1`, id))
	return i, notFound(err, "intake", id)
}

// IntakeFilter narrows a list of intakes; zero values do not narrow.
type IntakeFilter struct {
	Status   lead.Verdict
	ImportID int64
	LeadID   int64
	Before   int64 // only ids below this one: the cursor
	Limit    int   // 0 means 50
}

// ListIntakes returns intakes, newest first.
func ListIntakes(ctx context.Context, tx *dbctx.Tx, f IntakeFilter) ([]Intake, error) {
	var w where
	w.add(f.Status != "", "i.status = $%d", string(f.Status))
	w.add(f.ImportID != 0, "i.import_id = $%d", f.ImportID)
	w.add(f.LeadID != 0, "i.lead_id = $%d", f.LeadID)
	w.add(f.Before != 0, "i.id < $%d", f.Before)
	return dbctx.All(ctx, tx, scanIntake, `SELECT `+intakeColumns+` FROM intakes i JOIN sources s ON s.id = i.source_id
		`+w.sql()+` ORDER BY i.id DESC `+limit(f.Limit), w.args...)
}

// HasIntakes says whether anything was ever taken in.
func HasIntakes(ctx context.Context, tx *dbctx.Tx) (bool, error) {
	var any bool
	err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM intakes)`).Scan(&any)
	return any, err
}

// ImportRows returns rows of an import with a verdict, in the order of the file, from the row behind the given one on.
func ImportRows(ctx context.Context, tx *dbctx.Tx, importID int64, status lead.Verdict, after int64, n int) ([]Intake, error) {
	return dbctx.All(ctx, tx, scanIntake, `SELECT `+intakeColumns+` FROM intakes i JOIN sources s ON s.id = i.source_id
		WHERE i.import_id = $1 AND i.row_no > $2 AND i.status = $3 ORDER BY i.row_no `+limit(n), importID, after, string(status))
}
