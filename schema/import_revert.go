package schema

import (
	"context"
	"strings"
	"time"

	"github.com/leadmill/leadmill/dbctx"
)

// Reasons to keep a lead when the import that founded it, or added to it, is undone.
const (
	KeptShared    = "shared"    // founded by the import; others have sent something to it since
	KeptDelivered = "delivered" // founded by the import; a destination was told, or perhaps was
	KeptChanged   = "changed"   // founded by the import; a person has changed something
	KeptTheirs    = "theirs"    // not founded by the import; holds data from it
)

// Kept is a lead that a revert left alone.
type Kept struct {
	LeadID int64  `json:"lead_id"`
	Reason string `json:"reason"`
}

// RevertImport begins to undo an import, and ends its reading if it is not over; ErrNotFound if it cannot be undone: it
// was never begun, or is being undone already.
func RevertImport(ctx context.Context, tx *dbctx.Tx, id int64) error {
	n, err := tx.Exec(ctx, `UPDATE imports SET state = 'reverting', done_at = NULL
		WHERE id = $1 AND state IN ('waiting', 'reading', 'paused', 'cancelled', 'done', 'failed')`, id)
	if err == nil && n == 1 {
		dropParts(tx, id)
	}
	return oneOf(n, err, "import to revert", id)
}

// MoveRevert moves the cursor of a revert from m.Undone to another row. False: somebody else has moved it.
func MoveRevert(ctx context.Context, tx *dbctx.Tx, m Import, to int64) (bool, error) {
	n, err := tx.Exec(ctx, `UPDATE imports SET undone = $3 WHERE id = $1 AND undone = $2 AND state = 'reverting'`, m.ID, m.Undone, to)
	return n == 1, err
}

// EndRevert lets the same file come again, once every row is undone.
func EndRevert(tx *dbctx.Tx, m Import, now time.Time) {
	tx.Queue(`UPDATE imports SET state = 'reverted', hash = $2, done_at = $3
		WHERE id = $1 AND state = 'reverting' AND undone >= rows`, m.ID, past(m.ID), now)
}

// LockImportRows returns the intakes of an import between two rows, the first not counted, without their payloads, locked in
// the order of their ids.
func LockImportRows(ctx context.Context, tx *dbctx.Tx, importID, from, to int64) ([]Intake, error) {
	return dbctx.All(ctx, tx, scanIntake, lockImportRows.on(tx), importID, from, to)
}

var lockImportRows = both(`SELECT ` + strings.Replace(intakeColumns, "i.payload", "''", 1) + ` FROM intakes i JOIN sources s ON s.id = i.source_id
	WHERE i.import_id = $1 AND i.row_no > $2 AND i.row_no <= $3 ORDER BY i.id FOR UPDATE OF i`)

// MarkReverted notes that these rows are undone. Their verdicts stay.
func MarkReverted(tx *dbctx.Tx, importID, from, to int64, now time.Time) {
	tx.Queue(`UPDATE intakes SET reverted_at = $4 WHERE import_id = $1 AND row_no > $2 AND row_no <= $3`, importID, from, to, now)
}

// LockLeadsWhole locks leads with all that hangs on them, in the order in which all who need several of these take them:
// match keys, leads, deliveries, each sorted. It returns the ids of those that there are.
func LockLeadsWhole(ctx context.Context, tx *dbctx.Tx, ids []int64) (there []int64, err error) {
	if _, err = dbctx.All(ctx, tx, scanText, lockKeysOf.on(tx), idSet(ids)); err != nil {
		return nil, err
	}
	if there, err = dbctx.All(ctx, tx, scanID, lockLeadIDs.on(tx), idSet(ids)); err != nil {
		return nil, err
	}
	_, err = dbctx.All(ctx, tx, scanID, lockDeliveriesOf.on(tx), idSet(ids))
	return there, err
}

var (
	lockKeysOf       = both(`SELECT key FROM lead_keys WHERE lead_id IN (SELECT r.id FROM {r: id bigint}) ORDER BY key FOR UPDATE`)
	lockLeadIDs      = both(`SELECT id FROM leads WHERE id IN (SELECT r.id FROM {r: id bigint}) ORDER BY id FOR UPDATE`)
	lockDeliveriesOf = both(`SELECT id FROM deliveries WHERE lead_id IN (SELECT r.id FROM {r: id bigint}) ORDER BY id FOR UPDATE`)
)

// TouchedLeads says which of the leads, founded by the import, have been touched by others since, and by whom.
func TouchedLeads(ctx context.Context, tx *dbctx.Tx, importID int64, ids []int64) ([]Kept, error) {
	return dbctx.All(ctx, tx, scanKept, touchedLeads.on(tx), idSet(ids), importID)
}

func scanKept(row dbctx.Scanner) (k Kept, err error) { return k, row.Scan(&k.LeadID, &k.Reason) }

var touchedLeads = both(`SELECT lead_id, min(reason) FROM (
		SELECT i.lead_id, 'shared' AS reason FROM intakes i
			WHERE i.lead_id IN (SELECT r.id FROM {r: id bigint}) AND (i.import_id IS NULL OR i.import_id <> $2)
		UNION ALL SELECT v.lead_id, 'delivered' FROM deliveries v
			WHERE v.lead_id IN (SELECT r.id FROM {r: id bigint})
				AND (v.tries > 0 OR v.last_status > 0 OR v.state NOT IN ('pending', 'parked'))
		UNION ALL SELECT e.lead_id, 'changed' FROM events e
			WHERE e.lead_id IN (SELECT r.id FROM {r: id bigint}) AND e.actor NOT LIKE 'job/%'
	) AS t GROUP BY lead_id`)

// LeadsOfOthers says which of the leads the import has not founded.
func LeadsOfOthers(ctx context.Context, tx *dbctx.Tx, importID int64, ids []int64) ([]Kept, error) {
	return dbctx.All(ctx, tx, scanKept, leadsOfOthers.on(tx), idSet(ids), importID)
}

var leadsOfOthers = both(`SELECT id, 'theirs' FROM intakes
	WHERE id IN (SELECT r.id FROM {r: id bigint}) AND (import_id IS NULL OR import_id <> $2)`)

// RemoveLeads removes leads with their match keys and with deliveries that were never made. Their events stay: they are
// only ever added to.
func RemoveLeads(tx *dbctx.Tx, ids []int64) {
	for _, remove := range []text{removeDeliveries, removeKeys, removeLeads} {
		tx.Queue(remove.on(tx), idSet(ids))
	}
}

var (
	removeDeliveries = both(`DELETE FROM deliveries WHERE lead_id IN (SELECT r.id FROM {r: id bigint})`)
	removeKeys       = both(`DELETE FROM lead_keys WHERE lead_id IN (SELECT r.id FROM {r: id bigint})`)
	removeLeads      = both(`DELETE FROM leads WHERE id IN (SELECT r.id FROM {r: id bigint})`)
)

// KeepLeads names leads that a revert leaves alone.
func KeepLeads(tx *dbctx.Tx, importID int64, kept []Kept) {
	if len(kept) > 0 {
		tx.Queue(keepLeads.on(tx), set(kept), importID)
	}
}

var keepLeads = both(`INSERT INTO import_kept (import_id, lead_id, reason) SELECT $2::bigint, r.lead_id, r.reason
	FROM {r: lead_id bigint, reason text} WHERE true ON CONFLICT (import_id, lead_id) DO NOTHING`)

// ImportKept returns leads that the revert of an import left alone, from the one behind the given id on.
func ImportKept(ctx context.Context, tx *dbctx.Tx, importID, after int64, n int) ([]Kept, error) {
	return dbctx.All(ctx, tx, scanKept, `SELECT lead_id, reason FROM import_kept WHERE import_id = $1 AND lead_id > $2
		ORDER BY lead_id `+limit(n), importID, after)
}

// CountKept counts them.
func CountKept(ctx context.Context, tx *dbctx.Tx, importID int64) (n int64, err error) {
	err = tx.QueryRow(ctx, `SELECT count(*) FROM import_kept WHERE import_id = $1`, importID).Scan(&n)
	return n, err
}
