package schema

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pressly/goose/v3"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/dbctx/dbctxtest"
)

var before = dbctxtest.New("before", nil)

// The twin of SQLite makes the table again: rows, ids and what they may be must survive that.
func TestDeliveriesFromBeforeThereWasAnUncertainStateGoOn(t *testing.T) {
	before.Each(t, func(t *testing.T, db *dbctx.DB) {
		migrated := func(step func(p *goose.Provider) error) {
			t.Helper()
			if err := withProvider(db, step); err != nil {
				t.Fatal(err)
			}
		}
		run := func(fn func(ctx context.Context, tx *dbctx.Tx) error) {
			t.Helper()
			if err := dbctx.Run(t.Context(), db, fn); err != nil {
				t.Fatal(err)
			}
		}
		state := func() (id int64, state, reason string) {
			run(func(ctx context.Context, tx *dbctx.Tx) error {
				return tx.QueryRow(ctx, `SELECT v.id, v.state, v.last_answer FROM deliveries v JOIN destinations d ON d.id = v.destination_id
					WHERE v.key = 'k7' AND v.tries = 3`).Scan(&id, &state, &reason)
			})
			return id, state, reason
		}
		migrated(func(p *goose.Provider) error { _, err := p.UpTo(t.Context(), 2); return err })
		run(func(ctx context.Context, tx *dbctx.Tx) error {
			tx.Queue(`INSERT INTO destinations (id, name, url, secret, created_at) VALUES (5, 'crm', 'https://crm.example', 's', '2026-03-02 09:30:00+00:00')`)
			tx.Queue(`INSERT INTO deliveries (id, lead_id, destination_id, intake_id, event, key, state, tries, last_answer, created_at, updated_at)
				VALUES (7, 1, 5, 1, 'lead.created', 'k7', 'parked', 3, 'no', '2026-03-02 09:30:00+00:00', '2026-03-02 09:30:00+00:00')`)
			return nil
		})
		migrated(func(p *goose.Provider) error { _, err := p.Up(t.Context()); return err })
		if id, state, answer := state(); id != 7 || state != DeliveryGivenUp || answer != "no" {
			t.Errorf("delivery %d is %s (%s) behind the migration, want 7, parked, no", id, state, answer)
		}
		run(func(ctx context.Context, tx *dbctx.Tx) error {
			tx.Queue(`UPDATE deliveries SET state = 'uncertain'`)
			d, err := GetDestination(ctx, tx, 5)
			if err == nil && (d.NotIdempotent || d.Limited()) {
				t.Errorf("destination = %+v, want it to tell repeats and without limits, as before", d)
			}
			return err
		})
		migrated(func(p *goose.Provider) error { _, err := p.DownTo(t.Context(), 2); return err })
		if id, state, _ := state(); id != 7 || state != DeliveryGivenUp {
			t.Errorf("delivery %d is %s on the way back, want 7 and parked", id, state)
		}
		migrated(func(p *goose.Provider) error { _, err := p.Up(t.Context()); return err })
	})
}

// On either way some are being read, some are done and have failed, and all of that goes on.
func TestImportsAndLeadsFromTheReleaseBeforeGoOn(t *testing.T) {
	before.Each(t, func(t *testing.T, db *dbctx.DB) {
		migrated := func(step func(p *goose.Provider) error) {
			t.Helper()
			if err := withProvider(db, step); err != nil {
				t.Fatal(err)
			}
		}
		const release = 5 // the last migration of the one before
		migrated(func(p *goose.Provider) error { _, err := p.UpTo(t.Context(), release); return err })
		err := dbctx.Run(t.Context(), db, func(_ context.Context, tx *dbctx.Tx) error {
			for _, sql := range releaseBefore {
				tx.Queue(strings.ReplaceAll(sql, "$now", "'2026-03-02 09:30:00+00:00'"))
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, way := range []string{"first", "second"} {
			migrated(func(p *goose.Provider) error { _, err := p.Up(t.Context()); return err })
			if err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error { return areAsBefore(ctx, t, tx) }); err != nil {
				t.Fatalf("on the %s way: %v", way, err)
			}
			migrated(func(p *goose.Provider) error { _, err := p.DownTo(t.Context(), release); return err })
		}
	})
}

var releaseBefore = []string{
	`INSERT INTO sources (id, name, created_at) VALUES (3, 'fair', $now)`,
	`INSERT INTO users (id, email, role, credit, created_at) VALUES (2, 'ada@example.com', 'operator', -4, $now)`,
	`INSERT INTO imports (id, source_id, file, hash, state, rows, created_at) VALUES (1, 3, 'a.csv', 'h1', 'reading', 502, $now)`,
	`INSERT INTO imports (id, source_id, file, hash, state, rows, created_at, done_at) VALUES (2, 3, 'b.csv', 'h2', 'done', 2, $now, $now)`,
	`INSERT INTO imports (id, source_id, file, hash, state, error, created_at) VALUES (4, 3, 'c.csv', 'h4', 'failed', 'no', $now)`,
	`INSERT INTO import_parts (import_id, no, bytes) VALUES (1, 0, 'Email'), (1, 1, 'Name')`,
	`INSERT INTO intakes (id, source_id, hash, payload, import_id, row_no, status, lead_id, received_at) VALUES
		(11, 3, 'r', '{}', 1, 1, 'accepted', 11, $now), (12, 3, 'r', '{}', 1, 500, 'duplicate', 11, $now), (13, 3, 'r', '{}', 1, 501, 'rejected', NULL, $now),
		(14, 3, 'r', '{}', 1, 502, 'pending', NULL, $now), (15, 3, 'r', '{}', 2, 1, 'quarantined', NULL, $now), (16, 3, 'r', '{}', 2, 2, 'rejected', NULL, $now)`,
	`INSERT INTO leads (id, state, email, phone, name, company, country, name_key, last_key, company_key, fields, extra, submissions, score, parts,
		owner_id, owner_reason, created_at, updated_at) VALUES (11, 'owned', 'ada@example.com', '', 'Ada', '', '', 'ada', '', '',
		'{"email":{"value":"ada@example.com"}}', '{"id":12345678901234567890}', 2, 10, '[]', 2, 'turn', $now, $now)`,
	`INSERT INTO events (lead_id, at, kind, actor, data) VALUES (11, $now, 'scored', 'job/1', '{"score":10}')`,
}

func areAsBefore(ctx context.Context, t *testing.T, tx *dbctx.Tx) error {
	list, err := ListImports(ctx, tx, 0, 10)
	if err != nil {
		return err
	}
	type seen struct {
		State             string
		Rows, Total, Size int64
		Counts            Counts
	}
	want := map[int64]seen{
		1: {ImportReading, 502, -1, 9, Counts{Rows: 4, Pending: 1, Accepted: 1, Duplicate: 1, Rejected: 1}},
		2: {ImportDone, 2, 2, 0, Counts{Rows: 2, Rejected: 1, Quarantined: 1}},
		4: {ImportFailed, 0, -1, 0, Counts{}},
	}
	got := map[int64]seen{}
	for _, m := range list {
		got[m.ID] = seen{m.State, m.Rows, m.Total, m.Size, m.Counts}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("imports (-want +got):\n%s", diff)
	}
	if open, err := OpenChunks(ctx, tx, 1); open != 1 || err != nil {
		t.Errorf("%d chunks wait for verdicts, %v; want the one with the pending row", open, err)
	}
	l, err := GetLead(ctx, tx, 11)
	if err != nil {
		return err
	}
	if l.Owner != "ada@example.com" || l.Score != 10 || fmt.Sprint(l.Extra["id"]) != "12345678901234567890" {
		t.Errorf("lead = %+v, want it as it was", l)
	}
	if turns, err := DrawTurns(ctx, tx, 2); err != nil || len(turns) != 2 {
		t.Errorf("turns = %v, %v", turns, err)
	}
	return nil
}
