package schema

import (
	"context"

	"github.com/leadmill/leadmill/dbctx"
)

// Meter is what a source with limits has sent to the whole fleet, by the database's clock. Times are in microseconds since
// 1970.
type Meter struct {
	Now        int64
	TakenUntil int64 // what was taken has used up the rate until then
	Day        int64 // of UTC, since 1970
	Taken      int64 // on that day
}

// LimitSource changes how much a source may send; ErrNotFound if there is none of that name.
func LimitSource(ctx context.Context, tx *dbctx.Tx, name string, l SourceLimits) error {
	n, err := tx.Exec(ctx, `UPDATE sources SET rate = $2, burst = $3, per_day = $4, max_bytes = $5 WHERE name = $1`,
		name, l.Rate, l.Burst, l.PerDay, l.MaxBytes)
	if err := oneOf(n, err, "source", name); err != nil {
		return err
	}
	tx.Queue(`INSERT INTO source_meters (source_id) SELECT id FROM sources WHERE name = $1
		ON CONFLICT (source_id) DO UPDATE SET taken_until = 0`, name)
	return nil
}

// LockMeter reads what a source has sent and keeps it from changing until the scope ends.
func LockMeter(ctx context.Context, tx *dbctx.Tx, sourceID int64) (m Meter, err error) {
	// Two statements: the second sees what was committed while the first waited.
	tx.Queue(lockMeter.on(tx), sourceID)
	err = tx.QueryRow(ctx, readMeter.on(tx), sourceID).Scan(&m.Now, &m.TakenUntil, &m.Day, &m.Taken)
	return m, notFound(err, "meter of source", sourceID)
}

const meterColumns = `, m.taken_until, m.day, m.taken FROM source_meters m WHERE m.source_id = $1`

var (
	lockMeter = both(`SELECT source_id FROM source_meters WHERE source_id = $1 FOR NO KEY UPDATE`)
	readMeter = text{
		postgres: `SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint` + meterColumns,
		sqlite:   `SELECT CAST(unixepoch('subsec') * 1000000 AS INTEGER)` + meterColumns,
	}
)

// SaveMeter writes what a decision on LockMeter has made of it.
func SaveMeter(tx *dbctx.Tx, sourceID int64, m Meter) {
	tx.Queue(`UPDATE source_meters SET taken_until = $2, day = $3, taken = $4 WHERE source_id = $1`,
		sourceID, m.TakenUntil, m.Day, m.Taken)
}
