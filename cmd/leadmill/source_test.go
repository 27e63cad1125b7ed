package main

import (
	"strings"
	"testing"
	"time"
)

func TestKeysOfASourceOverlapAndEnd(t *testing.T) {
	eachURL(t, func(t *testing.T, url string) {
		leadmill(t, on(url), "", "source", "add", "form").want(t, exitDone)
		leadmill(t, on(url), "", "source", "rotate", "form", "--overlap", "24h").want(t, exitDone)
		type key struct {
			ID        string     `json:"id"`
			ExpiresAt *time.Time `json:"expires_at"`
			UsedAt    *time.Time `json:"used_at"`
		}
		keys := decode[[]key](t, leadmill(t, on(url), "", "source", "keys", "form", "--json").want(t, exitDone))
		if len(keys) != 2 || keys[0].ExpiresAt == nil || keys[1].ExpiresAt != nil || keys[0].ID == keys[1].ID {
			t.Fatalf("keys = %+v, want the old one to end and the new one not", keys)
		}
		leadmill(t, on(url), "", "source", "revoke", "form", keys[0].ID).want(t, exitDone)
		leadmill(t, on(url), "", "source", "revoke", "form", keys[0].ID).want(t, exitNotFound)
		leadmill(t, on(url), "", "source", "revoke", "form", "").want(t, exitNotFound)
		leadmill(t, on(url), "", "source", "rotate", "form", "--overlap", "-1h").want(t, exitUsage)
		leadmill(t, on(url), "", "source", "rotate", "form").want(t, exitDone)
		if keys := decode[[]key](t, leadmill(t, on(url), "", "source", "keys", "form", "--json").want(t, exitDone)); len(keys) != 1 {
			t.Errorf("keys = %+v, want the new one alone", keys)
		}
	})
}

func TestASourceIsLimitedAndGivenAForm(t *testing.T) {
	eachURL(t, func(t *testing.T, url string) {
		do := func(code int, args ...string) string {
			t.Helper()
			return leadmill(t, on(url), "", append([]string{"source"}, args...)...).want(t, code).stdout
		}
		do(exitDone, "add", "form")
		do(exitDone, "limit", "form", "--rate", "30/m", "--burst", "5", "--per-day", "5000", "--max-bytes", "65536")
		do(exitDone, "form", "form", "--honeypot", "fax", "--min-time", "3s")
		do(exitDone, "origin", "add", "form", "HTTPS://Shop.example/")
		do(exitDone, "origin", "add", "form", "https://shop.example")
		do(exitDone, "redirect", "add", "form", "https://shop.example/thanks")
		got := leadmill(t, on(url), "", "source", "show", "form", "--json").want(t, exitDone)
		s := decode[sourceLine](t, got)
		if s.Rate != 0.5 || s.Burst != 5 || s.PerDay != 5000 || s.MaxBytes != 65536 || s.Honeypot != "fax" || s.MinTime != 3 ||
			len(s.Origins) != 1 || s.Origins[0] != "https://shop.example" || len(s.Redirects) != 1 {
			t.Errorf("source = %+v", s)
		}
		html := do(exitDone, "form", "form", "--at", "https://leads.example")
		for _, want := range []string{`action="https://leads.example` + s.Form + `"`, `name="fax"`, `value="https://shop.example/thanks"`} {
			if !strings.Contains(html, want) {
				t.Errorf("the form lacks %s:\n%s", want, html)
			}
		}
		if rotated := do(exitDone, "form", "form", "--rotate"); strings.Contains(rotated, s.Form) {
			t.Error("the old address is in the form after it was rotated")
		}
		do(exitDone, "form", "form", "--off")
		do(exitDone, "limit", "form")
		if list := do(exitDone, "list"); strings.Contains(list, "a day") {
			t.Errorf("limits that were lifted are shown:\n%s", list)
		}
		for _, wrong := range [][]string{
			{"limit", "form", "--rate", "fast"}, {"limit", "form", "--rate", "0/s"}, {"limit", "form", "--rate", "10/d"}, {"limit", "form", "--burst", "3"},
			{"limit", "form", "--max-bytes", "1"}, {"limit", "form", "--per-day", "-1"}, {"limit", "form", "--per-day", "3000000000"},
			{"limit", "form", "--rate", "1/s", "--burst", "3000000000"}, {"origin", "add", "form", "*"}, {"redirect", "add", "form", "//shop.example"},
			{"form", "form", "--at", "leads.example"}, {"form", "form", "--min-time", "1500ms"},
		} {
			do(exitUsage, wrong...)
		}
		do(exitNotFound, "limit", "nobody")
		do(exitNotFound, "form", "nobody")
		do(exitNotFound, "origin", "remove", "form", "https://other.example")
	})
}
