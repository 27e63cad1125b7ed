package schema_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/schema"
)

func TestASourceIsReadBackAsWritten(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, tx *dbctx.Tx) {
		s := must[schema.Source](t)(schema.InsertSource(ctx, tx, "form", "DE", strings.Repeat("a", 64), at))
		s.Limits = schema.SourceLimits{Rate: 0.5, Burst: 3, PerDay: 100, MaxBytes: 4096}
		s.Form = schema.Form{ID: "F", Secret: "S", Honeypot: "fax", MinTime: 3 * time.Second}
		s.Origins, s.Redirects = []string{"https://a.example"}, []string{"https://a.example/x"}
		for _, err := range []error{schema.LimitSource(ctx, tx, "form", s.Limits), schema.SetForm(ctx, tx, "form", s.Form)} {
			if err != nil {
				t.Fatal(err)
			}
		}
		schema.SetSites(tx, s.ID, s.Origins, s.Redirects)
		byForm := must[schema.Source](t)(schema.SourceByForm(ctx, tx, "F"))
		byKey, key, err := schema.SourceByKeyHash(ctx, tx, strings.Repeat("a", 64), at)
		if err != nil || key.ID != strings.Repeat("a", 10) || key.ExpiresAt != nil || key.UsedAt != nil {
			t.Errorf("key = %+v, %v", key, err)
		}
		for _, got := range []schema.Source{byForm, byKey, must[[]schema.Source](t)(schema.ListSources(ctx, tx))[0]} {
			if diff := cmp.Diff(s, got); diff != "" {
				t.Errorf("source (-written +read):\n%s", diff)
			}
		}
		if all := must[[]string](t)(schema.AllOrigins(ctx, tx)); len(all) != 1 || all[0] != "https://a.example" {
			t.Errorf("origins of all = %v", all)
		}
	})
}

func TestAKeyIsMarkedOnceAMinuteAndPurgedAfterItsEnd(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, tx *dbctx.Tx) {
		s := must[schema.Source](t)(schema.InsertSource(ctx, tx, "form", "", "first", at))
		for _, later := range []time.Duration{0, 59 * time.Second} {
			schema.MarkKeyUsed(tx, "first", at.Add(later))
		}
		keys := must[[]schema.SourceKey](t)(schema.ListKeys(ctx, tx, s.ID))
		if keys[0].UsedAt == nil || !keys[0].UsedAt.Equal(at) {
			t.Errorf("used at %v, want %s and not a second time in the minute", keys[0].UsedAt, at)
		}
		if err := schema.RotateKey(ctx, tx, "form", "second", at, time.Hour); err != nil {
			t.Fatal(err)
		}
		end := at.Add(time.Hour)
		if _, _, err := schema.SourceByKeyHash(ctx, tx, "first", end.Add(-time.Microsecond)); err != nil {
			t.Errorf("before its end: %v", err)
		}
		if _, _, err := schema.SourceByKeyHash(ctx, tx, "first", end); !errors.Is(err, schema.ErrNotFound) {
			t.Errorf("at its end: %v, want ErrNotFound", err)
		}
		if err := schema.RotateKey(ctx, tx, "form", "third", at, 2*time.Hour); err != nil {
			t.Fatal(err)
		}
		if k := must[[]schema.SourceKey](t)(schema.ListKeys(ctx, tx, s.ID)); !k[0].ExpiresAt.Equal(end) {
			t.Errorf("a longer overlap moved an end to %s, want %s", k[0].ExpiresAt, end)
		}
		schema.PurgeExpiredKeys(tx, end.Add(time.Minute))
		if k := must[[]schema.SourceKey](t)(schema.ListKeys(ctx, tx, s.ID)); len(k) != 2 {
			t.Errorf("%d keys are left, want the two that have not ended by then", len(k))
		}
	})
}

func TestABatchIsAnsweredOnceUntilItIsPurged(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, tx *dbctx.Tx) {
		s := must[schema.Source](t)(schema.EnsureSource(ctx, tx, "form", at))
		if _, replayed, err := schema.BeginBatch(ctx, tx, s.ID, "k", "h", at); replayed || err != nil {
			t.Fatalf("first = %v, %v", replayed, err)
		}
		schema.AnswerBatch(tx, s.ID, "k", "answer")
		if answer, replayed, err := schema.BeginBatch(ctx, tx, s.ID, "k", "h", at); answer != "answer" || !replayed || err != nil {
			t.Errorf("again = %q, %v, %v", answer, replayed, err)
		}
		if _, _, err := schema.BeginBatch(ctx, tx, s.ID, "k", "other", at); !errors.Is(err, schema.ErrKeyReused) {
			t.Errorf("another body = %v, want ErrKeyReused", err)
		}
		for i := range 5 {
			if _, _, err := schema.BeginBatch(ctx, tx, s.ID, fmt.Sprint(i), "h", at.Add(-time.Hour)); err != nil {
				t.Fatal(err)
			}
		}
		for _, want := range []int64{3, 2, 0} {
			if gone, err := schema.PurgeBatches(ctx, tx, at, 3); gone != want || err != nil {
				t.Errorf("purged %d, %v, want %d", gone, err, want)
			}
		}
		if _, replayed, _ := schema.BeginBatch(ctx, tx, s.ID, "k", "h", at); !replayed {
			t.Error("a batch was forgotten before its time")
		}
	})
}

func TestRowsHaveTheirIdsInOrder(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, tx *dbctx.Tx) {
		s := must[schema.Source](t)(schema.EnsureSource(ctx, tx, "form", at))
		rows := make([]schema.NewIntake, 300)
		for i := range rows {
			rows[i] = schema.NewIntake{SourceID: s.ID, Hash: "h", Payload: fmt.Sprintf(`{"n":%d}`, i), Row: int64(i + 1)}
		}
		rows[7].Suspicion = "honeypot"
		ids := must[[]int64](t)(schema.InsertRows(ctx, tx, rows, at))
		for i, in := range must[[]schema.Intake](t)(schema.TakeIntakes(ctx, tx, ids)) {
			if in.ID != ids[i] || in.Payload != rows[i].Payload || in.Row != 0 || in.Suspicion != rows[i].Suspicion {
				t.Fatalf("row %d became %+v with id %d", i, in, ids[i])
			}
		}
	})
}
