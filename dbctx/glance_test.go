package dbctx_test

import (
	"context"
	"testing"
	"time"

	"github.com/leadmill/leadmill/dbctx"
)

// openPinged has one connection, through a proxy that counts trips, whose statements have been prepared.
func openPinged(t *testing.T, noPrePing bool) (*dbctx.DB, *proxy) {
	t.Helper()
	p := newProxy(t, databases.URL(t, dbctx.Postgres))
	db, err := dbctx.Open(t.Context(), p.url, dbctx.Pool{Size: 1, MaxOverflow: -1, NoPrePing: noPrePing})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	trips(t, db, p)
	return db, p
}

// trips counts those of a scope with one read.
func trips(t *testing.T, db *dbctx.DB, p *proxy) int64 {
	t.Helper()
	before := p.trips.Load()
	err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error { _, err := count(ctx, tx); return err })
	if err != nil {
		t.Errorf("Run = %v, want nil", err)
	}
	return p.trips.Load() - before
}

func TestThePrePingCostsNoTripWhileAConnectionIsBusy(t *testing.T) {
	t.Parallel()
	db, p := openPinged(t, false)
	const each = 2 // BEGIN with the read, and COMMIT
	for range 20 {
		start := time.Now()
		if got := trips(t, db, p); got != each && time.Since(start) < dbctx.RestLimit/2 {
			t.Errorf("%d trips, want %d: a glance is enough", got, each)
		}
	}
}

func TestAConnectionThatHasRestedIsAsked(t *testing.T) {
	for name, noPrePing := range map[string]bool{"with pre-ping": false, "without": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, p := openPinged(t, noPrePing)
			<-time.After(dbctx.RestLimit + 50*time.Millisecond)
			want := int64(3)
			if noPrePing {
				want = 2
			}
			if got := trips(t, db, p); got != want {
				t.Errorf("%d trips, want %d", got, want)
			}
		})
	}
}
