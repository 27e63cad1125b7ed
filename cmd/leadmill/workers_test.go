package main

import (
	"context"
	"strings"
	"testing"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/schema"
)

func TestStatusAndDoctorTellOfWorkersThatAreSilentAndOfKindsThatNobodyKnows(t *testing.T) {
	eachURL(t, func(t *testing.T, url string) {
		bury(t, url, 1)
		s := decode[status](t, leadmill(t, on(url), "", "status", "--json").want(t, exitDone))
		if len(s.Workers) != 0 || len(s.Unknown) != 0 {
			t.Errorf("status = %+v, want no workers and no unknown kinds", s)
		}
		db, err := dbctx.Open(t.Context(), url, dbctx.Pool{Size: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		err = dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
			w := schema.Worker{ID: "host_1_A", Host: "host", PID: 77, Kinds: []string{"purge"}}
			if err := schema.BeatWorker(ctx, tx, w); err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, `UPDATE workers SET seen_at = '2026-01-01 00:00:00+00:00'`); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, `UPDATE river_job SET state = 'available', finalized_at = NULL`)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		s = decode[status](t, leadmill(t, on(url), "", "status", "--json").want(t, exitDone))
		if len(s.Workers) != 1 || !s.Workers[0].Stalled || s.Workers[0].PID != 77 || strings.Join(s.Unknown, " ") != "import_file" {
			t.Errorf("status = %+v, want one stalled worker and the kind it does not know", s)
		}
		if shown := leadmill(t, on(url), "", "status").want(t, exitDone).stdout; !strings.Contains(shown, "stalled") {
			t.Errorf("status shows\n%s", shown)
		}
		shown := leadmill(t, on(url), "", "doctor").want(t, exitFailed).stdout
		if !strings.Contains(shown, "process 77, was last heard of") || !strings.Contains(shown, "import_file wait") {
			t.Errorf("doctor shows\n%s", shown)
		}
	})
}
