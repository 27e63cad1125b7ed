package web

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/jobs"
	"github.com/leadmill/leadmill/lead"
	"github.com/leadmill/leadmill/schema"
)

// elsewhere is another site whose page holds our form as we print it.
func (s *site) elsewhere(html func() string) (origin string) {
	s.t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /contact", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "<!doctype html><title>Shop</title><h1>Write to us</h1>\n%s", html())
	})
	mux.HandleFunc("GET /done", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<!doctype html><h1>We will call</h1>") })
	h := httptest.NewServer(mux)
	s.t.Cleanup(h.Close)
	return h.URL
}

func (s *site) snippet() string {
	var text string
	s.run(func(ctx context.Context, tx *dbctx.Tx) error {
		source, err := schema.SourceByForm(ctx, tx, "FORM")
		text = FormSnippet(s.url, source)
		return err
	})
	return text
}

func TestTheFormThatWePrintWorksOnAnotherSite(t *testing.T) {
	s := newSite(t, siteDatabases.Open(t, dbctx.Postgres), Config{})
	shop := s.elsewhere(s.snippet)
	s.form([]string{shop}, nil)
	b := s.open()
	b.fillIn(shop, "ada@example.com")
	s.pass(3 * time.Second)
	b.loads("Thank you", click("form button"))
	if in := s.lastIntake(); in.Status != lead.Accepted {
		t.Errorf("sent by a person: %s %v", in.Status, in.Reasons)
	}

	s.form([]string{shop}, []string{shop + "/done"})
	s.pass(senderFreshFor)
	b.fillIn(shop, "bob@example.com")
	b.loads("We will call", click("form button"))
	if in := s.lastIntake(); in.Status != lead.Quarantined || in.Suspicion != "too_fast" {
		t.Errorf("sent at once: %s %s", in.Status, in.Suspicion)
	}
}

// fillIn opens the page with the form and waits until it knows when it was opened.
func (b *tab) fillIn(shop, email string) {
	b.t.Helper()
	b.loads("Write to us", chromedp.Navigate(shop+"/contact"))
	b.do(chromedp.SendKeys(chromedp.CSS(`form [name="email"]`), email))
	ctx, cancel := context.WithTimeout(b.ctx, 30*time.Second)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.WaitReady(chromedp.JSPath(`Array.from(document.getElementsByName("_started")).filter(e => e.value)`))); err != nil {
		b.t.Fatalf("the form never learns when it was opened: %v", err)
	}
}

func TestAScriptOfAListedPageSendsWithAKeyAndOthersCannot(t *testing.T) {
	s := newSite(t, siteDatabases.Open(t, dbctx.Postgres), Config{})
	page := func() string { return "" }
	shop, other := s.elsewhere(page), s.elsewhere(page)
	key, hash := jobs.NewKey()
	s.run(func(ctx context.Context, tx *dbctx.Tx) error {
		source, err := schema.InsertSource(ctx, tx, "script", "", hash, s.now())
		schema.SetSites(tx, source.ID, []string{shop}, nil)
		return err
	})
	send := fmt.Sprintf(`fetch(%q, {method: "POST", headers: {"Content-Type": "application/json", "Authorization": "Bearer %s", "Idempotency-Key": "k"},
		body: '{"email":"ada@example.com"}'}).then(r => r.status + " " + r.headers.get("Location"), e => "refused")`, s.url+"/api/v1/leads", key)
	b := s.open()
	for site, want := range map[string]string{shop: "202 /api/v1/intakes/1", other: "refused"} {
		b.loads("Write to us", chromedp.Navigate(site+"/contact"))
		got, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](send, chromedp.EvalAwaitPromise))
		if err != nil || got != want {
			t.Errorf("fetch = %q, %v, want %q", got, err, want)
		}
	}
	if all := s.intakes(); len(all) != 1 {
		t.Errorf("%d intakes, want one", len(all))
	}
}
