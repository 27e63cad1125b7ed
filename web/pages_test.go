package web

import (
	"net/http"
	"testing"

	"github.com/leadmill/leadmill/dbctx"
)

var listPages = []string{
	"/", "/leads", "/leads?q=ada", "/intakes", "/intakes?status=quarantined", "/intakes?status=rejected", "/failed", "/failed?error=x&state=discarded", "/failed/jobs/retry", "/imports", "/sources", "/destinations", "/cron",
}

func TestEveryPageShowsWithAndWithoutData(t *testing.T) {
	siteDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		s := newSite(t, db, Config{})
		s.users()
		s.login("admin")
		look := func() {
			for _, path := range listPages {
				s.sees(path, "<h1>")
				s.lacks(path, "<script>alert", "whsec_", "token=hidden")
				s.isGuarded(path)
			}
		}
		look()
		s.fill()
		look()
		s.sees("/leads", "Ada Lovelace", "&lt;script&gt;alert")
		s.sees("/leads?q=lovel", "Ada Lovelace")
		s.lacks("/leads?q=lovel", "Curie")
		s.sees("/failed", "erp")
		for _, path := range []string{"/leads/999", "/leads/x", "/intakes/999", "/imports/999", "/imports/999/rejected.csv", "/nope"} {
			if r := s.get(path); r.status != http.StatusNotFound {
				t.Errorf("%s = %d, want 404", path, r.status)
			}
		}
	})
}

func TestAViewerOnlyLooks(t *testing.T) {
	siteDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		s := newSite(t, db, Config{})
		s.users()
		s.fill()
		s.login("viewer")
		s.lacks("/leads/1", ">Retry<")
		for _, path := range []string{"/deliveries/1/retry", "/deliveries/1/delivered", "/intakes/5/release", "/failed/jobs/1/retry", "/cron/purge/run", "/jobs/",
			"/imports", "/imports/1/orders", "/imports/1/pause", "/imports/1/resume", "/imports/1/cancel", "/imports/1/revert"} {
			if r := s.press(path, nil); r.status != http.StatusForbidden {
				t.Errorf("a viewer's POST %s = %d, want 403", path, r.status)
			}
		}
	})
}

// isGuarded fails the test unless the page comes with the headers that every page has.
func (s *site) isGuarded(path string) {
	s.t.Helper()
	h := s.get(path).header
	for name, want := range map[string]string{
		"Content-Security-Policy": pagePolicy, "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY",
		"Referrer-Policy": "same-origin", "Cache-Control": "no-store",
	} {
		if got := h.Get(name); got != want {
			s.t.Errorf("GET %s: %s = %q, want %q", path, name, got, want)
		}
	}
}
