package web

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/jobs"
	"github.com/leadmill/leadmill/lead"
	"github.com/leadmill/leadmill/lead/intake"
	"github.com/leadmill/leadmill/schema"
)

// form gives a source of a site a form, and lists origins and redirects for it.
func (s *site) form(origins, redirects []string) (path string) {
	s.t.Helper()
	s.run(func(ctx context.Context, tx *dbctx.Tx) error {
		source, err := schema.EnsureSource(ctx, tx, "shop", s.now())
		if err != nil {
			return err
		}
		schema.SetSites(tx, source.ID, origins, redirects)
		return schema.SetForm(ctx, tx, "shop", schema.Form{ID: "FORM", Secret: "secret", Honeypot: "_gotcha", MinTime: 2 * time.Second})
	})
	return "/f/FORM"
}

// lastIntake is what came last, after the queue has worked it.
func (s *site) lastIntake() schema.Intake {
	s.t.Helper()
	s.work()
	all := s.intakes()
	if len(all) == 0 {
		s.t.Fatal("nothing is stored")
	}
	return all[len(all)-1]
}

const fromABrowser = "text/html,application/xhtml+xml,*/*;q=0.8"

// crossSite are the headers of a browser whose page is another site's.
func crossSite(origin string) []string {
	return []string{"Origin", origin, "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Accept", fromABrowser}
}

func TestAFormNeedsNoKeyAndCanOnlyAdd(t *testing.T) {
	siteDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		s := newSite(t, db, Config{})
		path := s.form(nil, nil)
		ada := url.Values{"email": {"ada@example.com"}, "name": {"Ada"}}
		if r := s.press(path, ada); r.status != 202 || r.body != `{"status":"accepted"}`+"\n" {
			t.Errorf("a program = %d %s, want no id", r.status, r.body)
		}
		r := s.press(path, ada, crossSite("https://anywhere.example")...)
		if r.status != 303 || r.header.Get("Location") != path+"/thanks" {
			t.Errorf("a browser = %d to %q, want our thanks", r.status, r.header.Get("Location"))
		}
		s.sees(path+"/thanks", "Thank you")
		if in := s.lastIntake(); in.LeadID == 0 || in.Source != "shop" {
			t.Errorf("the intake of a browser = %+v", in)
		}
		for _, method := range []string{"GET", "PUT", "DELETE"} {
			if r := s.request(method, path, nil); r.status < 400 {
				t.Errorf("%s = %d", method, r.status)
			}
		}
	})
}

func TestAFormCannotTouchTheIdempotencyKeysOfItsSource(t *testing.T) {
	siteDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		s := newSite(t, db, Config{})
		path := s.form(nil, nil)
		key, hash := jobs.NewKey()
		s.run(func(ctx context.Context, tx *dbctx.Tx) error {
			return schema.RotateKey(ctx, tx, "shop", hash, s.now(), 0)
		})
		if r := s.press(path, url.Values{"email": {"eve@example.com"}}, "Idempotency-Key", "order-17"); r.status != 202 {
			t.Fatalf("form = %d", r.status)
		}
		for _, marked := range []string{"", "true"} {
			r := s.do("POST", "/api/v1/leads", key, `{"email":"ada@example.com"}`, "Idempotency-Key", "order-17")
			if r.status != 202 || r.header.Get("Idempotency-Replayed") != marked {
				t.Errorf("the source itself = %d %s, replayed %q", r.status, r.body, r.header.Get("Idempotency-Replayed"))
			}
		}
		again := s.press(path, url.Values{"email": {"eve@example.com"}}, "Idempotency-Key", "order-17")
		if again.status != 202 || again.header.Get("Idempotency-Replayed") != "true" || len(s.intakes()) != 2 {
			t.Errorf("form again = %d %v", again.status, again.header)
		}
	})
}

func TestWhatAFormSendsWronglyIsRefusedAndNothingStored(t *testing.T) {
	siteDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		s := newSite(t, db, Config{})
		path := s.form([]string{"https://shop.example"}, []string{"https://shop.example"})
		ada := url.Values{"email": {"ada@example.com"}}
		for name, r := range map[string]struct {
			status int
			answer reply
		}{
			"no such form":       {404, s.press("/f/OTHER", ada)},
			"no token of it":     {404, s.get("/f/OTHER/token")},
			"another page":       {403, s.press(path, ada, "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site")},
			"a page that hides":  {403, s.press(path, ada, "Origin", "null", "Sec-Fetch-Site", "cross-site")},
			"a like page":        {403, s.press(path, ada, "Origin", "https://shop.example.evil.example", "Sec-Fetch-Site", "cross-site")},
			"redirect elsewhere": {422, s.press(path, url.Values{"email": {"ada@example.com"}, "_redirect": {"https://evil.example"}})},
			"redirect trick":     {422, s.press(path, url.Values{"email": {"ada@example.com"}, "_redirect": {"https://shop.example@evil.example"}})},
			"too large":          {413, s.press(path, url.Values{"message": {strings.Repeat("x", formLimitBytes)}})},
			"no kind":            {415, s.press(path, ada, "Content-Type", "text/plain")},
			"empty":              {422, s.press(path, url.Values{})},
		} {
			p := r.answer.problemOf(t, r.status)
			if strings.HasPrefix(name, "redirect") && (len(p.Errors) != 1 || p.Errors[0].Field != "_redirect" || strings.Contains(r.answer.body, "evil")) {
				t.Errorf("%s = %s, want the field named and no value", name, r.answer.body)
			}
		}
		page := s.press(path, url.Values{"email": {"ada@example.com"}, "_redirect": {"https://evil.example"}}, crossSite("https://shop.example")...)
		if page.status != 422 || !strings.Contains(page.body, "This was not sent") || strings.Contains(page.body, "evil") {
			t.Errorf("a browser is refused with %d %s, want a page", page.status, mainOf(page.body))
		}
		if n := s.stored(); n != 0 {
			t.Errorf("%d rows are stored after refusals, want none", n)
		}
	})
}

func TestAFormLeadsToWhatItsSourceLists(t *testing.T) {
	siteDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		s := newSite(t, db, Config{})
		path := s.form(nil, []string{"https://shop.example", "https://other.example/done?x=1"})
		for _, target := range []string{"https://shop.example/thanks?a=b#c", "https://other.example/done?x=1"} {
			r := s.press(path, url.Values{"email": {"ada@example.com"}, "_redirect": {target}}, crossSite("https://shop.example")...)
			if r.status != 303 || r.header.Get("Location") != target {
				t.Errorf("%s: %d to %q", target, r.status, r.header.Get("Location"))
			}
		}
		if in := s.lastIntake(); in.LeadID == 0 || len(s.intakes()) != 2 {
			t.Errorf("intake = %+v, want both stored", in)
		}
	})
}

func TestPagesOfOtherSitesSendAsTheirSourceSays(t *testing.T) {
	siteDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		s := newSite(t, db, Config{})
		path := s.form([]string{"https://shop.example"}, nil)
		good := []string{"Origin", "https://shop.example", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "cors"}
		asking := append([]string{"Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "content-type"}, good...)
		for _, call := range []string{path, "/api/v1/leads"} {
			r := s.request("OPTIONS", call, nil, asking...)
			if r.status != 204 || r.header.Get("Access-Control-Allow-Origin") != "https://shop.example" || r.header.Get("Access-Control-Allow-Credentials") != "" ||
				!strings.Contains(r.header.Get("Access-Control-Allow-Headers"), "Content-Type") || r.header.Get("Vary") != "Origin" {
				t.Errorf("preflight of %s = %d %v", call, r.status, r.header)
			}
			other := s.request("OPTIONS", call, nil, "Origin", "https://evil.example", "Access-Control-Request-Method", "POST")
			if other.header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("preflight of %s from another page = %v", call, other.header)
			}
		}
		r := s.press(path, url.Values{"email": {"ada@example.com"}}, good...)
		if r.status != 202 || r.header.Get("Access-Control-Allow-Origin") != "https://shop.example" {
			t.Errorf("fetch = %d %v", r.status, r.header)
		}
		r = s.press(path, url.Values{}, good...)
		if r.problemOf(t, 422); r.header.Get("Access-Control-Allow-Origin") == "" {
			t.Error("a page may not read why it was refused")
		}
		if r := s.press("/login", url.Values{}, good...); r.status != 403 {
			t.Errorf("another call from another site = %d, want 403", r.status)
		}
	})
}

func TestAKeyIsTakenFromPagesThatItsSourceLists(t *testing.T) {
	apiDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		c := newCounter(t, db)
		c.run(func(ctx context.Context, tx *dbctx.Tx) error {
			form, err := schema.SourceByName(ctx, tx, "form")
			schema.SetSites(tx, form.ID, []string{"https://shop.example"}, nil)
			return err
		})
		body := `{"email":"ada@example.com"}`
		from := func(key, origin string) reply {
			return c.do("POST", "/api/v1/leads", key, body, "Origin", origin, "Sec-Fetch-Site", "cross-site")
		}
		if r := from(c.key, "https://shop.example"); r.status != 202 || r.header.Get("Access-Control-Allow-Origin") != "https://shop.example" {
			t.Errorf("a page that is listed = %d %v", r.status, r.header)
		}
		from(c.key, "https://evil.example").problemOf(t, 403)
		from(c.other, "https://shop.example").problemOf(t, 403)
		c.do("POST", "/api/v1/leads", c.key, body, "Origin", "https://evil.example").problemOf(t, 403)
		if n := c.stored(); n != 2 {
			t.Errorf("%d rows are stored, want one intake and its job", n)
		}
	})
}

func TestTrapsQuarantineAndTellNothing(t *testing.T) {
	for name, trap := range map[string]struct {
		field  func(s *site, path string) (name, value string)
		status lead.Verdict
		code   string
	}{
		"honeypot": {func(*site, string) (string, string) { return "_gotcha", "http://spam.example" }, lead.Quarantined, intake.Honeypot},
		"too fast": {func(s *site, path string) (string, string) { return "_started", s.get(path + "/token").body }, lead.Quarantined, intake.TooFast},
		"made up":  {func(*site, string) (string, string) { return "_started", "1772443800123.00" }, lead.Quarantined, intake.BadToken},
		"in time": {func(s *site, path string) (string, string) {
			b := s.get(path + "/token").body
			s.pass(3 * time.Second)
			return "_started", b
		}, lead.Accepted, ""},
		"no token":    {func(*site, string) (string, string) { return "_started", "" }, lead.Accepted, ""},
		"empty trap":  {func(*site, string) (string, string) { return "_gotcha", " " }, lead.Accepted, ""},
		"other field": {func(*site, string) (string, string) { return "_anything", "x" }, lead.Accepted, ""},
	} {
		siteDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
			s := newSite(t, db, Config{})
			path := s.form(nil, nil)
			field, value := trap.field(s, path)
			r := s.press(path, url.Values{"email": {"ada@example.com"}, "name": {"Ada"}, field: {value}})
			if r.status != 202 || r.body != `{"status":"accepted"}`+"\n" {
				t.Errorf("%s: the sender is told %d %s", name, r.status, r.body)
			}
			in := s.lastIntake()
			if in.Status != trap.status || in.Suspicion != trap.code {
				t.Fatalf("%s: %s %v, want %s %s", name, in.Status, in.Reasons, trap.status, trap.code)
			}
			if trap.code == "" {
				return
			}
			if len(in.Reasons) != 1 || in.Reasons[0].Code != trap.code || in.Reasons[0].Message == "" {
				t.Errorf("%s: reasons %v", name, in.Reasons)
			}
			s.run(func(ctx context.Context, tx *dbctx.Tx) error { return s.q.ReleaseIntake(ctx, tx, in.ID) })
			if in := s.lastIntake(); in.Status != lead.Accepted {
				t.Errorf("%s: released it is %s", name, in.Status)
			}
		})
	}
}

func TestTrapsAreInBatchesToo(t *testing.T) {
	apiDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		c := newCounter(t, db)
		decodeReply[batchAnswer](t, c.batch(`[{"email":"ada@example.com"},{"email":"bot@example.com","_gotcha":"x"}]`), 202)
		c.work()
		if a := c.intakes(); a[0].Status != lead.Accepted || a[1].Status != lead.Quarantined {
			t.Errorf("verdicts %s and %s", a[0].Status, a[1].Status)
		}
	})
}

func TestARejectionOutweighsATrap(t *testing.T) {
	siteDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		s := newSite(t, db, Config{})
		s.press(s.form(nil, nil), url.Values{"name": {"Nobody"}, "_gotcha": {"x"}})
		if in := s.lastIntake(); in.Status != lead.Rejected || len(in.Reasons) != 2 {
			t.Errorf("%s %v, want it rejected with both reasons", in.Status, in.Reasons)
		}
	})
}

func TestAnAddressCannotFloodAForm(t *testing.T) {
	siteDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		s := newSite(t, db, Config{})
		path := s.form(nil, nil)
		for i := range 20 {
			if r := s.press(path, url.Values{}); r.status != 422 {
				t.Fatalf("try %d = %d", i+1, r.status)
			}
		}
		r := s.press(path, url.Values{"email": {"ada@example.com"}})
		if r.problemOf(t, 429); r.header.Get("Retry-After") == "" || r.header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("429 without Retry-After, or not for scripts of other sites: %v", r.header)
		}
		if r := s.press(path, url.Values{"email": {"ada@example.com"}}, "X-Forwarded-For", "203.0.113.9, 198.51.100.7"); r.status != 202 {
			t.Errorf("another visitor behind the same proxy = %d", r.status)
		}
		if r := s.press(path, url.Values{"email": {"ada@example.com"}}, crossSite("https://shop.example")...); r.status != 429 || !strings.Contains(r.body, "too much") && !strings.Contains(r.body, "Too much") {
			t.Errorf("a browser = %d %s", r.status, mainOf(r.body))
		}
		s.pass(6 * time.Second)
		if r := s.press(path, url.Values{"email": {"ada@example.com"}}); r.status != 202 {
			t.Errorf("after a while = %d", r.status)
		}
	})
}

func TestTheAddressOfAClient(t *testing.T) {
	for _, c := range []struct{ peer, forwarded, want string }{
		{"203.0.113.9:1234", "", "203.0.113.9"},
		{"203.0.113.9:1234", "198.51.100.7", "203.0.113.9"}, // a stranger cannot choose
		{"10.0.0.1:1234", "198.51.100.7", "198.51.100.7"},
		{"127.0.0.1:1234", "1.1.1.1, 198.51.100.7", "198.51.100.7"},
		{"[::ffff:10.0.0.1]:1234", "198.51.100.7", "198.51.100.7"},
		{"10.0.0.1:1234", "unknown", "10.0.0.1"},
		{"10.0.0.1:1234", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"},
		{"[2001:db8:1:2:3:4:5:6]:1", "", "2001:db8:1:2::/64"},
	} {
		r := &http.Request{RemoteAddr: c.peer, Header: http.Header{}}
		if c.forwarded != "" {
			r.Header.Set("X-Forwarded-For", c.forwarded)
		}
		if got := clientOf(r); got != c.want {
			t.Errorf("client of %s for %q = %s, want %s", c.peer, c.forwarded, got, c.want)
		}
	}
}
