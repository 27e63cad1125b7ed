package web

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/lead"
	"github.com/leadmill/leadmill/schema"
)

var listPages = []string{
	"/", "/leads", "/leads?q=ada", "/intakes", "/intakes?status=quarantined", "/intakes?status=rejected", "/failed", "/imports", "/destinations", "/cron",
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
		s.sees("/failed", "erp", "import_file")
		for _, path := range []string{"/leads/999", "/leads/x", "/intakes/999", "/nope"} {
			if r := s.get(path); r.status != http.StatusNotFound {
				t.Errorf("%s = %d, want 404", path, r.status)
			}
		}
	})
}

func TestALeadsPageTellsItsStory(t *testing.T) {
	siteDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		s := newSite(t, db, Config{})
		s.users()
		s.login("viewer")
		s.fill()
		s.sees("/leads/1", "Ada Lovelace", "Countess", "Analytical Engines Ltd", "&#43;442079460018", "United Kingdom",
			"utm_source", "web-form", "of 100", "@example.com", "crm", "erp", "&lt;b&gt;erp&lt;/b&gt; says 503", "410")
		s.lacks("/leads/1", ">Retry<")
	})
}

func TestAViewerLooksAndAnOperatorActs(t *testing.T) {
	siteDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		s := newSite(t, db, Config{})
		s.users()
		s.fill()
		delivery := s.first(`SELECT min(id) FROM deliveries WHERE state = 'retrying'`)
		quarantined := s.first(`SELECT id FROM intakes WHERE status = 'quarantined'`)
		job := s.first(`SELECT id FROM river_job WHERE state = 'retryable'`)
		actions := []string{
			"/deliveries/" + strconv.FormatInt(delivery, 10) + "/retry", "/intakes/" + strconv.FormatInt(quarantined, 10) + "/release",
			"/failed/jobs/" + strconv.FormatInt(job, 10) + "/retry", "/cron/purge/run",
		}
		s.login("viewer")
		for _, path := range append(actions, "/jobs/") {
			if r := s.press(path, nil); r.status != http.StatusForbidden {
				t.Errorf("a viewer's POST %s = %d, want 403", path, r.status)
			}
		}
		s.login("operator")
		for _, path := range actions {
			r := s.press(path, url.Values{"back": {"/failed"}})
			if r.status != http.StatusSeeOther || !strings.Contains(r.header.Get("Location"), "notice=") {
				t.Errorf("an operator's POST %s = %d to %q, want a page that says what was done", path, r.status, r.header.Get("Location"))
			}
		}
		s.run(func(ctx context.Context, tx *dbctx.Tx) error {
			d, err := schema.GetDelivery(ctx, tx, delivery)
			if err != nil || d.State != schema.DeliveryPending {
				t.Errorf("the delivery is %s, %v; want it on its way", d.State, err)
			}
			in, err := schema.GetIntake(ctx, tx, quarantined)
			if err == nil && (!in.Released || in.Status != lead.Pending) {
				t.Errorf("the intake is %s, released %v; want it on its way", in.Status, in.Released)
			}
			return err
		})
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
