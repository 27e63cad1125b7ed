package schema_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/schema"
)

func TestNumbersBeyondAFloatStayAsTheyAre(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, tx *dbctx.Tx) {
		l := aLead(1, map[string]string{"email": "ada@example.com"})
		l.Extra = map[string]any{"form_id": json.Number("9223372036854775807"), "deep": []any{map[string]any{"n": json.Number("9007199254740993")}}}
		for range 2 { // what is read is written again when the lead is heard of again
			schema.SaveLeads(tx, []schema.Lead{l}, at)
			locked := must[[]schema.Lead](t)(schema.LockLeads(ctx, tx, []int64{1}))
			if diff := cmp.Diff(l.Extra, locked[0].Extra); diff != "" {
				t.Errorf("extra (-want +got):\n%s", diff)
			}
			l = locked[0]
		}
	})
}

func TestAHookRotatesIsFlaggedAndEnds(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, tx *dbctx.Tx) {
		source := must[schema.Source](t)(schema.EnsureSource(ctx, tx, "ads", at))
		h := schema.Hook{SourceID: source.ID, Source: "ads", Kind: "meta", Secret: "one", VerifyHash: "v", AccessToken: "t", GraphURL: "https://graph.example", AllowPrivate: true}
		if err := schema.InsertHook(ctx, tx, h, at); err != nil {
			t.Fatal(err)
		}
		if err := schema.InsertHook(ctx, tx, h, at); !errors.Is(err, schema.ErrExists) {
			t.Errorf("a second one: %v, want ErrExists", err)
		}
		if _, err := schema.HookOf(ctx, tx, "google", "ads"); !errors.Is(err, schema.ErrNotFound) {
			t.Errorf("of another kind: %v, want ErrNotFound", err)
		}
		h.CreatedAt = at
		if diff := cmp.Diff(h, must[schema.Hook](t)(schema.HookOf(ctx, tx, "meta", "ads"))); diff != "" {
			t.Errorf("stored (-want +got):\n%s", diff)
		}
		schema.FlagHook(tx, source.ID, "meta", "the token has expired")
		until := at.Add(time.Hour)
		for _, secret := range []string{"two", "three"} {
			h.Secret = secret
			if err := schema.RotateHook(ctx, tx, h, &until); err != nil {
				t.Fatal(err)
			}
		}
		later := until.Add(time.Hour)
		h.AccessToken = "u" // alone: whoever signs with the secret before goes on doing so
		if err := schema.RotateHook(ctx, tx, h, &later); err != nil {
			t.Fatal(err)
		}
		got := must[schema.Hook](t)(schema.HookOf(ctx, tx, "meta", "ads"))
		if diff := cmp.Diff([]string{"three", "two"}, got.Secrets(at)); diff != "" || got.Problem != "" {
			t.Errorf("problem %q, secrets (-want +got):\n%s", got.Problem, diff)
		}
		if diff := cmp.Diff([]string{"three"}, got.Secrets(until)); diff != "" {
			t.Errorf("secrets when the overlap is over (-want +got):\n%s", diff)
		}
		schema.ForgetOldSecrets(tx, until)
		if got := must[schema.Hook](t)(schema.HookOf(ctx, tx, "meta", "ads")); got.OldSecret != "" || got.OldUntil != nil {
			t.Errorf("the old secret is kept: %v", got.OldUntil)
		}
		h.Secret = "four"
		if err := schema.RotateHook(ctx, tx, h, nil); err != nil {
			t.Fatal(err)
		}
		if got := must[schema.Hook](t)(schema.HookOf(ctx, tx, "meta", "ads")); got.OldSecret != "" {
			t.Error("without an overlap the old secret is kept")
		}
		if err := schema.RemoveHook(ctx, tx, "meta", "ads"); err != nil {
			t.Error(err)
		}
		if err := schema.RemoveHook(ctx, tx, "meta", "ads"); !errors.Is(err, schema.ErrNotFound) {
			t.Errorf("removed twice: %v, want ErrNotFound", err)
		}
		if err := schema.RotateHook(ctx, tx, h, nil); !errors.Is(err, schema.ErrNotFound) {
			t.Errorf("rotated when it is gone: %v, want ErrNotFound", err)
		}
	})
}

func TestALeadThatIsToldOfTwiceIsFetchedOnce(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, tx *dbctx.Tx) {
		source := must[schema.Source](t)(schema.EnsureSource(ctx, tx, "ads", at))
		other := must[schema.Source](t)(schema.EnsureSource(ctx, tx, "other", at))
		tell := func(id int64, refs ...string) []int64 {
			var fetches []schema.NewFetch
			for _, ref := range refs {
				fetches = append(fetches, schema.NewFetch{SourceID: id, Ref: ref, Notice: `{"leadgen_id":9007199254740993}`})
			}
			return must[[]int64](t)(schema.InsertFetches(ctx, tx, fetches, at))
		}
		first := tell(source.ID, "2", "1")
		if len(first) != 2 || len(tell(source.ID, "1", "3")) != 1 || len(tell(other.ID, "1")) != 1 {
			t.Errorf("new were not 2, 1 and 1")
		}
		if err := schema.InsertHook(ctx, tx, schema.Hook{SourceID: source.ID, Source: "ads", Kind: "meta"}, at); err != nil {
			t.Fatal(err)
		}
		f, h, err := schema.GetFetch(ctx, tx, first[0])
		if err != nil || f.Notice != `{"leadgen_id":9007199254740993}` || f.State != schema.FetchOpen || h.Kind != "meta" {
			t.Errorf("fetch = %+v of %s, %v", f, h.Kind, err)
		}
		f.State, f.Tries, f.Reason = schema.FetchParked, 3, "why"
		schema.SettleFetch(tx, f, at)
		if state, tries, err := schema.LockFetch(ctx, tx, f.ID); state != schema.FetchParked || tries != 3 || err != nil {
			t.Errorf("it is %s behind %d tries, %v; want parked behind 3", state, tries, err)
		}
		if list := must[[]schema.Hook](t)(schema.ListHooks(ctx, tx)); len(list) != 1 || list[0].Open != 2 || list[0].Parked != 1 {
			t.Errorf("hooks = %+v, want 2 open and 1 parked", list)
		}
		f.State, f.IntakeID = schema.FetchDone, 7
		schema.SettleFetch(tx, f, at)
		if got, _, err := schema.GetFetch(ctx, tx, f.ID); err != nil || got != f {
			t.Errorf("fetch = %+v, %v; want %+v", got, err, f)
		}
		if _, _, err := schema.GetFetch(ctx, tx, 999); !errors.Is(err, schema.ErrNotFound) {
			t.Errorf("no fetch: %v, want ErrNotFound", err)
		}
	})
}
