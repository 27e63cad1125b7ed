package web

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/leadmill/leadmill/dbctx"
)

func TestWhatIsNoTextIsRefusedBeforeTheDatabaseIsAsked(t *testing.T) {
	siteDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		s := newSite(t, db, Config{Dev: true})
		for _, bad := range []string{"\x00", "a\xff@example.com"} {
			quoted := url.QueryEscape(bad)
			for _, path := range []string{
				"/f/" + quoted + "/token", "/hooks/meta/" + quoted, "/leads?q=" + quoted, "/leads?" + quoted + "=x",
				"/failed?error=" + quoted, "/api/v1/leads?state=" + quoted, "/leads/" + quoted,
			} {
				if r := s.get(path); r.status != http.StatusBadRequest {
					t.Errorf("GET %s = %d, want 400", path, r.status)
				}
			}
			for path, form := range map[string]url.Values{
				"/login": {"email": {bad}, "password": {password}}, "/cron/" + quoted + "/run": nil, "/f/" + quoted: nil,
				"/imports/1/orders": {"sheet": {bad}},
			} {
				if r := s.press(path, form); r.status != http.StatusBadRequest {
					t.Errorf("POST %s = %d, want 400", path, r.status)
				}
			}
		}
	})
}
