package web

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/schema"
)

func TestOnlyWhatChangedIsSentAgain(t *testing.T) {
	siteDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		s := newSite(t, db, Config{})
		s.users()
		s.login("viewer")
		htmx := []string{"HX-Request", "true", "HX-Target", "live"}
		here := before(s.sees("/leads?q=a"), `" hx-trigger="every`, `hx-get="`)
		if r := s.get(here, htmx...); r.status != http.StatusNoContent || r.body != "" {
			t.Errorf("GET %s again = %d %q, want 204 and nothing", here, r.status, r.body)
		}
		s.fill()
		r := s.get(here, htmx...)
		if r.status != http.StatusOK || !strings.HasPrefix(r.body, `<div id="live"`) || !strings.Contains(r.body, "Ada") {
			t.Errorf("GET %s after a change = %d %s, want the live part", here, r.status, r.body)
		}
		s.press("/logout", nil)
		if r := s.get(here, htmx...); r.header.Get("HX-Redirect") != "/login" || r.body != "" {
			t.Errorf("GET %s after log-out = %d %v, want HX-Redirect", here, r.status, r.header)
		}
	})
}

func TestStaticFilesAreKeptByTheirHash(t *testing.T) {
	s := newSite(t, siteDatabases.Open(t, dbctx.SQLite), Config{})
	for name, a := range assets() {
		r := s.get("/static/" + name + "?v=" + a.tag)
		if r.status != http.StatusOK || !strings.Contains(r.header.Get("Cache-Control"), "immutable") || r.body != string(a.body) {
			t.Errorf("%s = %d %v", name, r.status, r.header)
		}
	}
	r := s.get("/static/app.css?v=old")
	if r.header.Get("Cache-Control") != "no-cache" || !strings.HasPrefix(r.header.Get("Content-Type"), "text/css") {
		t.Errorf("app.css = %v", r.header)
	}
	if r := s.get("/static/none.css"); r.status != http.StatusNotFound {
		t.Errorf("a file that is not there = %d", r.status)
	}
}

func TestADatabaseThatIsAwayIsAPage(t *testing.T) {
	s := newSite(t, siteDatabases.Open(t, dbctx.SQLite), Config{})
	r := recordFailure(s.server, "/leads", fmt.Errorf("pool: %w", dbctx.ErrUnreachable))
	if r.status != http.StatusServiceUnavailable || r.header.Get("Retry-After") == "" || !strings.Contains(r.body, "database is away") {
		t.Errorf("answer = %d %v %s", r.status, r.header, r.body)
	}
	if r := recordFailure(s.server, "/leads/1", schema.ErrKeyReused); r.status != http.StatusInternalServerError {
		t.Errorf("an unforeseen error = %d", r.status)
	}
}

func TestRiverUI(t *testing.T) {
	siteDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		s := newSite(t, db, Config{})
		s.users()
		if r := s.get("/jobs/"); r.status != http.StatusSeeOther {
			t.Errorf("GET /jobs/ without a log-in = %d, want the log-in", r.status)
		}
		if r := s.get("/jobs/api/states"); r.status != http.StatusUnauthorized {
			t.Errorf("GET /jobs/api/states without a log-in = %d, want 401", r.status)
		}
		s.login("operator")
		s.sees("/jobs/", "<title>River</title>")
		s.sees("/jobs/api/states", "available")
		if policy := s.get("/jobs/").header.Get("Content-Security-Policy"); policy != riverPolicy {
			t.Errorf("policy of River UI = %q", policy)
		}
		if r := s.press("/jobs/api/jobs/retry", nil, "Sec-Fetch-Site", "cross-site"); r.status != http.StatusForbidden {
			t.Errorf("a cross-site retry = %d, want 403", r.status)
		}
	})
}
