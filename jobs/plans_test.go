package jobs_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/jobs"
	"github.com/leadmill/leadmill/schema"
)

func TestWhatAJobAsksIsNotCompiled(t *testing.T) {
	t.Parallel()
	db, err := dbctx.Open(t.Context(), databases.URL(t, dbctx.Postgres), dbctx.Pool{Size: 1, Settings: schema.ByKey})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	err = dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
		lines, err := dbctx.All(ctx, tx, func(row dbctx.Scanner) (line string, err error) { return line, row.Scan(&line) },
			`EXPLAIN SELECT 1 FROM users WHERE name <> ''`) // no index is of use, so PostgreSQL takes it for dear
		if plan := strings.Join(lines, "\n"); strings.Contains(plan, "JIT") {
			t.Errorf("the statement would be compiled:\n%s", plan)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestNoJobWalksATable works leads one by one, so that the plans of all statements are made and kept while the tables are
// small, and then a file.
func TestNoJobWalksATable(t *testing.T) {
	t.Parallel()
	url := databases.URL(t, dbctx.Postgres)
	open := func(p dbctx.Pool) *dbctx.DB {
		db, err := dbctx.Open(t.Context(), url, p)
		if err != nil {
			t.Fatal(err)
		}
		return db
	}
	db := open(dbctx.Pool{Size: 2, MaxOverflow: 4, Settings: schema.ByKey})
	s := newShop(t, db, jobs.Options{})
	s.users(1, 2)
	s.work(jobs.Live, func() {
		for i := range 40 {
			s.take(fmt.Sprintf(`{"email":"one%d@example.com"}`, i))
		}
		s.untilIdle()
	})
	id := s.hold("list.csv", people(3_000))
	s.begin(id)
	s.work(jobs.Files, func() { s.work(jobs.Bulk, func() { s.untilSettled(id) }) })
	s.q.Close()
	db.Close() // its connections have told all that they read

	s.db = open(dbctx.Pool{Size: 1})
	t.Cleanup(s.db.Close)
	for _, table := range []string{"intakes", "leads", "lead_keys", "events", "import_chunks", "river_job"} {
		if n := s.number(`SELECT seq_scan FROM pg_stat_user_tables WHERE relname = $1`, table); n > 0 {
			t.Errorf("%s was walked from end to end %d times", table, n)
		}
	}
}
