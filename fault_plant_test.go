package leadmill_test

import (
	"go/format"
	"testing"

	"github.com/leadmill/leadmill/dbctx/dbctxtest"
)

// The reckoning, tried: bugs are put into the program one at a time, and each must turn it red for the right reason.

const (
	killedWorkers = "TestFaults/workers-killed-every-2-s,-PostgreSQL-restarted"
	killedWeb     = "TestFaults/web-killed-every-2-s"
	killedFifty   = "TestFaults/50-running-jobs-killed-at-once"
)

var plantedFaults = []struct {
	bug   dbctxtest.Bug
	test  string
	shows string
}{
	{dbctxtest.Bug{Name: "the fence is switched off", File: "jobs/jobs.go",
		Old: `return dbctx.Once(j.Actor())`,
		New: `return dbctx.Once("")`},
		killedFifty, "effects were never committed"},
	{dbctxtest.Bug{Name: "web acknowledges before the commit", File: "web/api_intake.go",
		Old: `	err = dbctx.Run(ctx, s.db, func(ctx context.Context, tx *dbctx.Tx) error {
		from.markUsed(tx, now.UTC())
		id, replayed, err = s.queue.Take(ctx, tx, in)
		if err != nil || replayed {
			return err
		}
		return s.queue.Spend(ctx, tx, from.ID, from.Limits, 1)
	})
`,
		New: `	taken := make(chan error, 2)
	go func() {
		taken <- dbctx.Run(context.WithoutCancel(ctx), s.db, func(ctx context.Context, tx *dbctx.Tx) (err error) {
			id, replayed, err = s.queue.Take(ctx, tx, in)
			if taken <- err; err != nil {
				return err
			}
			_, err = tx.Exec(ctx, "SELECT pg_sleep(0.2)")
			return err
		})
	}()
	err = <-taken
`},
		killedWeb, "was acknowledged and is not stored"},
	{dbctxtest.Bug{Name: "a job is completed before its effects", File: "jobs/queue_worker.go",
		Old: `	err := m.q.scope(ctx, j, func(ctx context.Context, s *Scope) error {
		a.scope = s
		return inner(a.in(ctx))
	}, j.fence())
`,
		New: `	var err error
	go func() {
		ctx := context.WithoutCancel(ctx)
		<-time.After(300 * time.Millisecond)
		_ = m.q.scope(ctx, j, func(ctx context.Context, s *Scope) error {
			a.scope = s
			return inner(a.in(ctx))
		}, j.fence())
	}()
`},
		killedWorkers, "has the verdict pending"},
	{dbctxtest.Bug{Name: "a silent worker never expires", File: "schema/workers.go",
		Old: "`DELETE FROM workers WHERE seen_at < `",
		New: "`DELETE FROM workers WHERE seen_at < '2000-01-01' AND seen_at < `"},
		killedFifty, "still not dealt with"},
	{dbctxtest.Bug{Name: "a delivery has no key", File: "jobs/webhook.go",
		Old: "	request.Header.Set(\"Idempotency-Key\", id)\n",
		New: ""},
		killedFifty, "has no idempotency key"},
	{dbctxtest.Bug{Name: "cron keeps no ledger", File: "jobs/cron_tick.go",
		Old: `dbctx.Once(key)`,
		New: `dbctx.Once(key[:0])`},
		killedFifty, "ticks of cron are on record"},
	{dbctxtest.Bug{Name: "match keys are claimed outside of the scope", File: "jobs/batch.go",
		Old: `holders, err = schema.ClaimKeys(ctx, b.s.Tx, claims); err != nil {`,
		New: `err = b.s.q.scope(context.Background(), Job{}, func(ctx context.Context, s *Scope) (err error) {
			holders, err = schema.ClaimKeys(ctx, s.Tx, claims)
			return err
		}); err == nil {
			_, err = b.s.Tx.Exec(ctx, "SELECT pg_sleep(0.3)")
		}
		if err != nil {`},
		killedWorkers, "twice: person"},
}

// TestEveryPlantedBugFitsTheCode keeps the bugs from going stale, for the hunt takes minutes and is seldom made.
func TestEveryPlantedBugFitsTheCode(t *testing.T) {
	for _, p := range plantedFaults {
		if _, err := format.Source(p.bug.Planted(t)); err != nil {
			t.Errorf("%s: %v", p.bug.Name, err)
		}
	}
}
