package dbctx_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/leadmill/leadmill/dbctx"
)

// The driver tells of a lost wire in other words in each of its modes. The one that is left out, describe_exec, asks the server
// about COMMIT in a trip of its own, which is the one that would be cut.
func TestALostCommitIsToldTrulyInEveryModeOfTheDriver(t *testing.T) {
	for _, mode := range []string{"cache_statement", "cache_describe", "exec", "simple_protocol"} {
		for lost, arrives := range map[string]bool{"the answer": true, "the request": false} {
			for key, opts := range map[string][]dbctx.Option{"with a key": {dbctx.Once("job/1")}, "without": nil} {
				t.Run(fmt.Sprintf("%s, %s is lost, %s", mode, lost, key), func(t *testing.T) {
					t.Parallel()
					loseCommit(t, mode, arrives, opts)
				})
			}
		}
	}
}

func loseCommit(t *testing.T, mode string, arrives bool, opts []dbctx.Option) {
	p := newProxy(t, databases.URL(t, dbctx.Postgres))
	db, err := dbctx.Open(t.Context(), p.url+"?default_query_exec_mode="+mode, dbctx.Pool{Size: 1, MaxOverflow: 1, Reserve: 1, NoPrePing: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	hooks := 0
	run := func(id int64, before func(), opts []dbctx.Option) error {
		return dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
			tx.AfterCommit(func() { hooks++ })
			if err := add(id)(ctx, tx); err != nil {
				return err
			}
			before()
			return nil
		}, opts...)
	}
	if err := run(1, func() {}, nil); err != nil { // prepares the statements
		t.Fatal(err)
	}
	err = run(2, func() { p.cut(arrives) }, opts)
	known := opts != nil
	wantHooks, want := 1, []int64{1}
	if arrives {
		want = append(want, 2)
	}
	if arrives && known {
		wantHooks = 2
	}
	if (err == nil) != (arrives && known) || errors.Is(err, dbctx.ErrCommitUnknown) == known || err != nil && !dbctx.IsUnavailable(err) || hooks != wantHooks {
		t.Errorf("Run = %v and %d hooks ran, want the truth, a doubt only without a key, and %d", err, hooks, wantHooks)
	}
	expect(t, db, want...)
}
