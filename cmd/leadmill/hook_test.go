package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/jobs"
	"github.com/leadmill/leadmill/lead/hook"
	"github.com/leadmill/leadmill/schema"
)

// inDatabase runs fn in a scope of its own.
func inDatabase(t *testing.T, url string, fn func(ctx context.Context, tx *dbctx.Tx) error) {
	t.Helper()
	db, err := dbctx.Open(t.Context(), url, dbctx.Pool{Size: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := dbctx.Run(t.Context(), db, fn); err != nil {
		t.Fatal(err)
	}
}

// stored returns a hook as the database has it.
func stored(t *testing.T, url, kind, source string) (h schema.Hook) {
	t.Helper()
	inDatabase(t, url, func(ctx context.Context, tx *dbctx.Tx) (err error) {
		h, err = schema.HookOf(ctx, tx, kind, source)
		return err
	})
	return h
}

func TestTheSecretOfAHookIsShownOnceAndItsKeyKeptAsAHash(t *testing.T) {
	eachURL(t, func(t *testing.T, url string) {
		env := on(url)
		google := decode[map[string]string](t, leadmill(t, env, "", "hook", "add", "google", "ads", "--json").want(t, exitDone))
		if google["path"] != "/hooks/google/ads" || stored(t, url, "google", "ads").Secret != jobs.HashKey(google["key"]) {
			t.Errorf("printed %v, want the path, and the key whose hash is stored", google)
		}
		standard := leadmill(t, env, "", "hook", "add", "standard", "ads").want(t, exitDone)
		secret := strings.TrimSpace(standard.stdout)
		if stored(t, url, "standard", "ads").Secret != secret || !strings.Contains(standard.stderr, "/hooks/standard/ads") {
			t.Errorf("printed %q and %q, want the secret and the path", standard.stdout, standard.stderr)
		}
		if _, err := hook.CheckSecret(secret); err != nil {
			t.Errorf("the secret: %v", err)
		}
		meta := decode[map[string]string](t, leadmill(t, env, "app-s3cret\npage-t0ken\n", "hook", "add", "meta", "ads", "--secret-stdin", "--json").want(t, exitDone))
		h := stored(t, url, "meta", "ads")
		if h.Secret != "app-s3cret" || h.AccessToken != "page-t0ken" || h.VerifyHash != jobs.HashKey(meta["verify_token"]) {
			t.Errorf("printed %v, want the verify token whose hash is stored, and the secrets of stdin kept", meta)
		}
		list := leadmill(t, env, "", "hook", "list", "--json").want(t, exitDone)
		table := leadmill(t, env, "", "hook", "list").want(t, exitDone)
		for _, hidden := range []string{"s3cret", "t0ken", secret, google["key"], meta["verify_token"], h.VerifyHash} {
			if strings.Contains(list.stdout+table.stdout, hidden) {
				t.Errorf("hook list shows %s", hidden)
			}
		}
		if lines := decode[[]map[string]any](t, list); len(lines) != 3 || lines[0]["path"] != "/hooks/google/ads" {
			t.Errorf("hooks = %v", lines)
		}
		if r := leadmill(t, env, "", "hook", "add", "google", "ads").want(t, exitFailed); !strings.Contains(r.stderr, "exists already") {
			t.Errorf("a second one says %q", r.stderr)
		}
	})
}

func TestAHookRotatesWithAnOverlap(t *testing.T) {
	eachURL(t, func(t *testing.T, url string) {
		env := on(url)
		given := "whsec_c2VjcmV0IG9mIHRoZSB0ZXN0LCBsb25nIGVub3VnaA=="
		leadmill(t, append(env, "HOOK_SECRET="+given), "", "hook", "add", "standard", "shop").want(t, exitDone)
		leadmill(t, append(env, "HOOK_SECRET="+given), "", "hook", "rotate", "standard", "shop").want(t, exitUsage)
		made := strings.TrimSpace(leadmill(t, env, "", "hook", "rotate", "standard", "shop").want(t, exitDone).stdout)
		h := stored(t, url, "standard", "shop")
		if s := h.Secrets(now()); len(s) != 2 || s[0] != made || s[1] != given || h.OldUntil.Before(now().Add(23*time.Hour)) {
			t.Errorf("two secrets are valid: %v, until %v; want the new and the old for a day", len(s), h.OldUntil)
		}
		if r := leadmill(t, env, "", "hook", "list").want(t, exitDone); !strings.Contains(r.stdout, "old secret until") {
			t.Errorf("hook list = %s", r.stdout)
		}
		leadmill(t, env, "", "hook", "rotate", "standard", "shop", "--overlap", "0").want(t, exitDone)
		if s := stored(t, url, "standard", "shop").Secrets(now()); len(s) != 1 || s[0] == made {
			t.Errorf("%d secrets are valid, want the newest alone", len(s))
		}
		meta := append(env, "META_APP_SECRET=app", "META_ACCESS_TOKEN=old-token")
		leadmill(t, meta, "", "hook", "add", "meta", "shop", "--graph-url", "http://127.0.0.1:1/v1.0", "--allow-private").want(t, exitDone)
		leadmill(t, append(env, "META_ACCESS_TOKEN=new-token"), "", "hook", "rotate", "meta", "shop").want(t, exitDone)
		if h := stored(t, url, "meta", "shop"); h.AccessToken != "new-token" || h.Secret != "app" || h.GraphURL != "http://127.0.0.1:1/v1.0" {
			t.Errorf("the token is new: %v, the secret as before: %v", h.AccessToken == "new-token", h.Secret == "app")
		}
		leadmill(t, env, "", "hook", "remove", "meta", "shop").want(t, exitDone)
		leadmill(t, env, "", "hook", "remove", "meta", "shop").want(t, exitNotFound)
		leadmill(t, env, "", "hook", "rotate", "meta", "shop").want(t, exitNotFound)
	})
}

func TestAHookThatCanFetchNothingIsSaidToBeIll(t *testing.T) {
	eachURL(t, func(t *testing.T, url string) {
		env := append(on(url), "META_APP_SECRET=app", "META_ACCESS_TOKEN=old-token")
		leadmill(t, env, "", "hook", "add", "meta", "ads").want(t, exitDone)
		h := stored(t, url, "meta", "ads")
		inDatabase(t, url, func(_ context.Context, tx *dbctx.Tx) error {
			schema.FlagHook(tx, h.SourceID, "meta", "the access token has expired")
			return nil
		})
		for _, command := range []string{"doctor", "hook list"} {
			if r := leadmill(t, env, "", strings.Fields(command)...); !strings.Contains(r.stdout, "the access token has expired") {
				t.Errorf("%s says %s", command, r.stdout)
			}
		}
		leadmill(t, env, "", "hook", "rotate", "meta", "ads").want(t, exitDone)
		if r := leadmill(t, env, "", "hook", "list").want(t, exitDone); strings.Contains(r.stdout, "expired") {
			t.Errorf("behind the cure, hook list says %s", r.stdout)
		}
	})
}

func TestMistakesWithHooksAreUsageAndShowNoSecret(t *testing.T) {
	for name, c := range map[string]struct {
		stdin string
		args  []string
		says  string
	}{
		"kind":            {"", []string{"add", "tiktok", "ads"}, "google, meta, standard"},
		"name":            {"", []string{"add", "google", "a/b"}, "name"},
		"nothing given":   {"", []string{"add", "meta", "ads"}, "META_APP_SECRET"},
		"half given":      {"s3cret\n", []string{"add", "meta", "ads", "--secret-stdin"}, "META_ACCESS_TOKEN"},
		"bad token":       {"s3cret\ns3cret s3cret\n", []string{"add", "meta", "ads", "--secret-stdin"}, "access token"},
		"bad secret":      {"s3cret\n", []string{"add", "standard", "ads", "--secret-stdin"}, "whsec_"},
		"google's stdin":  {"s3cret\n", []string{"add", "google", "ads", "--secret-stdin"}, "made here"},
		"http":            {"a\nb\n", []string{"add", "meta", "ads", "--secret-stdin", "--graph-url", "http://graph.example/v1.0"}, "--graph-url is plain http"},
		"query":           {"a\nb\n", []string{"add", "meta", "ads", "--secret-stdin", "--graph-url", "https://graph.example/v1.0?a"}, "--graph-url wants"},
		"another's flag":  {"", []string{"add", "google", "ads", "--allow-private"}, "for meta"},
		"overlap":         {"", []string{"rotate", "google", "ads", "--overlap", "-1h"}, "--overlap"},
		"a secret's flag": {"", []string{"add", "meta", "ads", "--access-token", "x"}, "unknown flag"},
	} {
		r := leadmill(t, on("sqlite:///"+t.TempDir()+"/leads.db"), c.stdin, append([]string{"hook"}, c.args...)...).want(t, exitUsage)
		if !strings.Contains(r.stderr, c.says) || strings.Contains(r.stderr+r.stdout, "s3cret") {
			t.Errorf("%s: says %q, want %q and no secret", name, r.stderr, c.says)
		}
	}
}
