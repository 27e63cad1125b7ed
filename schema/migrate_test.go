package schema

import (
	"context"
	"testing"

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
