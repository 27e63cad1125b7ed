package schema

import (
	"context"
	"time"

	"github.com/leadmill/leadmill/dbctx"
)

// BeginBatch takes an idempotency key of a source for a batch whose answer is yet to be written. If the source has sent the
// key before, answer is what it was told then; with another body behind it the error is ErrKeyReused. Of two that arrive at
// once, the second waits for the first to commit.
func BeginBatch(ctx context.Context, tx *dbctx.Tx, sourceID int64, key, hash string, now time.Time) (answer string, replayed bool, err error) {
	n, err := tx.Exec(ctx, `INSERT INTO batches (source_id, key, hash, created_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (source_id, key) DO NOTHING`, sourceID, key, hash, now)
	if err != nil || n == 1 {
		return "", false, err
	}
	var before string
	err = tx.QueryRow(ctx, `SELECT hash, answer FROM batches WHERE source_id = $1 AND key = $2`, sourceID, key).Scan(&before, &answer)
	if err == nil && before != hash {
		return "", false, ErrKeyReused
	}
	return answer, err == nil, err
}

// AnswerBatch writes what the sender of a batch is told.
func AnswerBatch(tx *dbctx.Tx, sourceID int64, key, answer string) {
	tx.Queue(`UPDATE batches SET answer = $3 WHERE source_id = $1 AND key = $2`, sourceID, key, answer)
}

// PurgeBatches forgets at most n batches that were answered before then, and returns how many.
func PurgeBatches(ctx context.Context, tx *dbctx.Tx, before time.Time, n int) (int64, error) {
	return tx.Exec(ctx, `DELETE FROM batches WHERE (source_id, key) IN
		(SELECT source_id, key FROM batches WHERE created_at < $1 ORDER BY created_at LIMIT $2)`, before, n)
}
