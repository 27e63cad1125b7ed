package jobs

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/leadmill/leadmill/dbctx"
)

func TestALoneJobIsTheRowThatRiverMakes(t *testing.T) {
	db := costDatabases.Open(t, dbctx.Postgres)
	q := newQueue(db, Options{})
	q.register()
	if err := q.connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	work := ProcessLeads{IntakeIDs: []int64{7}}
	var rows []string
	err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
		if err := q.Enqueue(ctx, tx, work); err != nil {
			return err
		}
		if err := q.enqueueOne(ctx, tx, work); err != nil {
			return err
		}
		var err error
		rows, err = dbctx.All(ctx, tx, func(row dbctx.Scanner) (text string, err error) { return text, row.Scan(&text) },
			`SELECT jsonb_pretty(to_jsonb(j) - 'id' - 'created_at' - 'scheduled_at') || (scheduled_at <= clock_timestamp())::text || (created_at = scheduled_at)::text FROM river_job j ORDER BY id`)
		return err
	})
	if err != nil || len(rows) != 2 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	if diff := cmp.Diff(strings.Split(rows[0], "\n"), strings.Split(rows[1], "\n")); diff != "" {
		t.Errorf("the row differs (-River's +ours):\n%s", diff)
	}
}

func TestALoneJobWakesWhoeverListens(t *testing.T) {
	db := costDatabases.Open(t, dbctx.Postgres)
	q := newQueue(db, Options{})
	q.register()
	if err := q.connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	heard := map[string]string{}
	for name, enqueue := range map[string]func(context.Context, *dbctx.Tx) error{
		"River": func(ctx context.Context, tx *dbctx.Tx) error { return q.Enqueue(ctx, tx, ProcessLeads{}) },
		"ours":  func(ctx context.Context, tx *dbctx.Tx) error { return q.enqueueOne(ctx, tx, ProcessLeads{}) },
	} {
		heard[name] = overhear(t, db, enqueue)
	}
	if heard["River"] != heard["ours"] || !strings.Contains(heard["ours"], "river_insert") {
		t.Errorf("a worker hears %q from River and %q from us, want the same", heard["River"], heard["ours"])
	}
}

// overhear returns what somebody hears who waits for jobs while a scope commits.
func overhear(t *testing.T, db *dbctx.DB, enqueue func(context.Context, *dbctx.Tx) error) string {
	t.Helper()
	c, err := pgx.ConnectConfig(t.Context(), db.PgxConfig())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	if _, err := c.Exec(t.Context(), `LISTEN "public.river_insert"`); err != nil {
		t.Fatal(err)
	}
	if err := dbctx.Run(t.Context(), db, enqueue); err != nil {
		t.Fatal(err)
	}
	n, err := c.WaitForNotification(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return n.Channel + " " + strings.ReplaceAll(n.Payload, " ", "")
}
