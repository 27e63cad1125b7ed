package dbctx_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/leadmill/leadmill/dbctx"
)

// oneConnection is a database whose scopes all meet on one connection, with a lead for the unit of work.
func oneConnection(t *testing.T) (db *dbctx.DB, url string) {
	t.Helper()
	url = databases.URL(t, dbctx.Postgres)
	db, err := dbctx.Open(t.Context(), url, dbctx.Pool{Size: 1, MaxOverflow: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	err = dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
		for _, table := range []string{
			`CREATE TABLE leads (id bigint PRIMARY KEY, email text, email_norm text, name text, company text, status text, score integer, updated_at timestamptz)`,
			`CREATE TABLE lead_events (lead_id bigint, kind text, data jsonb, created_at timestamptz)`,
			`INSERT INTO leads (id, email, name, company, status, score) SELECT i, 'e', 'n', 'c', 'new', 0 FROM generate_series(1, 100000) i`,
		} {
			if _, err := tx.Exec(ctx, table); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return db, url
}

// It does not run in parallel: allocations are counted for the whole process.
func TestAScopeAllocatesInSingleFiguresBeyondTheDriver(t *testing.T) {
	db, url := oneConnection(t)
	pool, err := pgxpool.New(t.Context(), url+"?pool_max_conns=1")
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	no := int64(0)
	allocations := func(do way) float64 {
		return testing.AllocsPerRun(300, func() {
			no++
			if err := do(t.Context(), no); err != nil {
				t.Fatal(err)
			}
		})
	}
	hand, scope := allocations(byHandOnPgx(pool)), allocations(byScope(db))
	t.Logf("%.0f allocations by hand on pgx, %.0f in a scope", hand, scope)
	if scope-hand > 9 {
		t.Errorf("a scope allocates %.0f times, %.0f more than its statements by hand, want 9 at most", scope, scope-hand)
	}
}

func TestNoStatementIsPlannedAnewAtEachCall(t *testing.T) {
	db, _ := oneConnection(t)
	const runs = 50
	for no := range int64(runs) {
		if err := byScope(db)(t.Context(), no); err != nil {
			t.Fatal(err)
		}
	}
	type plans struct {
		statement       string
		generic, custom int
	}
	var all []plans
	err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) (err error) {
		all, err = dbctx.All(ctx, tx, func(row dbctx.Scanner) (p plans, err error) {
			return p, row.Scan(&p.statement, &p.generic, &p.custom)
		}, `SELECT statement, generic_plans, custom_plans FROM pg_prepared_statements WHERE generic_plans + custom_plans >= $1`, runs)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 6 { // BEGIN and COMMIT are among them
		t.Errorf("%d statements were run %d times, want 6: %v", len(all), runs, all)
	}
	for _, p := range all {
		if p.custom > 5 { // which is how often PostgreSQL looks before it settles
			t.Errorf("%q was planned %d times in %d", p.statement, p.custom, runs)
		}
	}
}
