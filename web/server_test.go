package web

import (
	"net/http"
	"testing"

	"github.com/leadmill/leadmill/dbctx"
)

func TestWhoLeavesAnswersAndSaysThatTheConnectionCloses(t *testing.T) {
	siteDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		s := newSite(t, db, Config{})
		for _, leaving := range []bool{false, true} {
			if leaving {
				s.server.Stopping()
			}
			answer, err := http.Get(s.url + "/login")
			if err != nil {
				t.Fatal(err)
			}
			answer.Body.Close()
			if answer.StatusCode != http.StatusOK || answer.Close != leaving {
				t.Errorf("leaving %v: %d and the connection closes: %v", leaving, answer.StatusCode, answer.Close)
			}
		}
	})
}
