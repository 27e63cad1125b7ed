package schema

import (
	"context"
	"time"

	"github.com/leadmill/leadmill/dbctx"
)

// PurgeKeys removes fence keys written before then, looking at no more than n keys after the given one. It
// returns the last key it looked at, "" at the end. A job's key stays as long as the job's row: a row that is
// still there might be run again.
func PurgeKeys(ctx context.Context, tx *dbctx.Tx, before time.Time, from string, n int) (last string, removed int64, err error) {
	err = tx.QueryRow(ctx, `SELECT coalesce(max(key), '') FROM (SELECT key FROM done_keys WHERE key > $1 ORDER BY key LIMIT $2) AS k`,
		from, n).Scan(&last)
	if err != nil || last == "" {
		return "", 0, err
	}
	removed, err = tx.Exec(ctx, purgeKeys.on(tx), from, last, before)
	return last, removed, err
}

var purgeKeys = both(`DELETE FROM done_keys WHERE key > $1 AND key <= $2 AND at < $3
	AND NOT EXISTS (SELECT 1 FROM river_job j
		WHERE j.id = CASE WHEN done_keys.key LIKE 'job/%' THEN CAST(substr(done_keys.key, 5) AS bigint) END)`)
