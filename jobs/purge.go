package jobs

import (
	"context"
	"errors"
	"time"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/schema"
)

// Purge removes what nobody will ask for again: fence keys and crash counts whose jobs are gone, expired sessions and
// keys of sources, answers to batches, secrets of hooks whose overlap is over, and files that nobody has confirmed. And it
// counts again what seems to be missing from the counts of imports.
// Finished rows of the queue are removed by the queue itself, completed ones after keepCompleted, the others after
// keepFailed; a fence key outlives its job's row.
type Purge struct{}

// Kind is purge.
func (Purge) Kind() string { return "purge" }

// Queue is maintenance.
func (Purge) Queue() string { return Maintenance }

const (
	keepCompleted = 24 * time.Hour      // completed jobs in the queue
	keepFailed    = 90 * 24 * time.Hour // discarded and cancelled ones: the dead letters
	keepUploads   = 7 * 24 * time.Hour  // files that nobody has confirmed
	keepKeys      = 7 * 24 * time.Hour  // fence keys, longer if the job's row is still there
	keepBatches   = 7 * 24 * time.Hour  // answers to batches, for those who send one again under its key
	keepExpired   = 30 * 24 * time.Hour // keys of sources that have ended, for people who look which
	purgeStep     = 5000                // keys looked at in one scope
	batchStep     = 500                 // answers removed in one scope; each may have a hundred kilobytes
)

func purge(ctx context.Context, q *Queue, j Job, _ Purge) error {
	err := q.scope(ctx, j, func(ctx context.Context, s *Scope) error {
		schema.ForgetCrashes(s.Tx)
		schema.ForgetOldSecrets(s.Tx, s.Now)
		schema.PurgeExpiredKeys(s.Tx, s.Now.Add(-keepExpired))
		if _, err := schema.ForgetUploads(ctx, s.Tx, s.Now.Add(-keepUploads)); err != nil {
			return err
		}
		_, err := schema.PurgeSessions(ctx, s.Tx, s.Now)
		return err
	})
	for gone := int64(batchStep); err == nil && gone == batchStep; {
		err = q.scope(ctx, j, func(ctx context.Context, s *Scope) (err error) {
			gone, err = schema.PurgeBatches(ctx, s.Tx, s.Now.Add(-keepBatches), batchStep)
			return err
		})
	}
	for last := ""; err == nil; {
		err = q.scope(ctx, j, func(ctx context.Context, s *Scope) (err error) {
			last, _, err = schema.PurgeKeys(ctx, s.Tx, s.Now.Add(-keepKeys), last, purgeStep)
			return err
		})
		if last == "" {
			break
		}
	}
	if err != nil {
		return err
	}
	return q.recountAll(ctx)
}

// recountAll mends the counts of imports that seem to be open.
func (q *Queue) recountAll(ctx context.Context) error {
	var open []int64
	err := dbctx.Run(ctx, q.db, func(ctx context.Context, tx *dbctx.Tx) (err error) {
		open, err = schema.OpenImports(ctx, tx)
		return err
	}, dbctx.ReadOnly())
	for _, id := range open {
		err = errors.Join(err, q.recount(ctx, id))
	}
	return err
}
