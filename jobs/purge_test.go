package jobs_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/jobs"
	"github.com/leadmill/leadmill/schema"
)

func TestPurgeForgetsAnswersAndKeysThatNobodyAsksForAgain(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		s := newShop(t, db, jobs.Options{Now: func() time.Time { return at }})
		s.run(func(ctx context.Context, tx *dbctx.Tx) error {
			for i := range 1201 { // more than two steps
				old := at.Add(-8 * 24 * time.Hour)
				if _, _, err := schema.BeginBatch(ctx, tx, s.source.ID, fmt.Sprint("old", i), "h", old); err != nil {
					return err
				}
			}
			for key, rotated := range map[string]time.Duration{"ended": -40 * 24 * time.Hour, "valid": 0} {
				if err := schema.RotateKey(ctx, tx, "form", key, at.Add(rotated), time.Hour); err != nil {
					return err
				}
			}
			_, _, err := schema.BeginBatch(ctx, tx, s.source.ID, "new", "h", at.Add(-6*24*time.Hour))
			tx.Queue(`UPDATE source_keys SET expires_at = $1 WHERE key_hash = 'ended'`, at.Add(-31*24*time.Hour))
			tx.Queue(`UPDATE source_keys SET expires_at = NULL WHERE key_hash = 'valid'`)
			if err != nil {
				return err
			}
			return s.q.Enqueue(ctx, tx, jobs.Purge{})
		})
		s.start()
		s.until("the purge", func() bool { return s.finished("purge") == 1 })
		var batches, keys int
		s.run(func(ctx context.Context, tx *dbctx.Tx) error {
			return tx.QueryRow(ctx, `SELECT (SELECT count(*) FROM batches), (SELECT count(*) FROM source_keys)`).Scan(&batches, &keys)
		})
		if batches != 1 || keys != 1 {
			t.Errorf("%d batches and %d keys are left, want those that are young enough", batches, keys)
		}
	})
}
