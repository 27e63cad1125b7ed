package web

import (
	"context"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/dbctx/dbctxtest"
	"github.com/leadmill/leadmill/jobs"
	"github.com/leadmill/leadmill/schema"
)

var siteDatabases = dbctxtest.New("webpages", jobs.Migrate)

// site is a server as a browser sees it, with a clock that a test can move.
type site struct {
	*counter
	client *http.Client
	mu     sync.Mutex
	ahead  time.Duration
}

func newSite(t *testing.T, db *dbctx.DB, c Config) *site {
	t.Helper()
	q, err := jobs.Open(t.Context(), db, jobs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(q.Close)
	s := &site{}
	c.Now = s.now
	server, err := New(db, q, c)
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(server.Handler())
	t.Cleanup(h.Close)
	s.counter = &counter{t: t, db: db, q: q, server: server, url: h.URL}
	s.client = browser(t)
	return s
}

func browser(t *testing.T) *http.Client {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func (s *site) now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().Add(s.ahead)
}

func (s *site) pass(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ahead += d
}

func (s *site) request(method, path string, form url.Values, headers ...string) reply {
	s.t.Helper()
	r, err := http.NewRequest(method, s.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		s.t.Fatal(err)
	}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
		if headers[i] == "Host" {
			r.Host = headers[i+1]
		}
	}
	return ask(s.t, s.client.Do, r)
}

func (s *site) get(path string, headers ...string) reply {
	s.t.Helper()
	return s.request(http.MethodGet, path, nil, headers...)
}

func (s *site) press(path string, form url.Values, headers ...string) reply {
	s.t.Helper()
	return s.request(http.MethodPost, path, form, headers...)
}

// sees fails the test if the page is not there or lacks any of the texts.
func (s *site) sees(path string, texts ...string) string {
	s.t.Helper()
	r := s.get(path)
	if r.status != http.StatusOK {
		s.t.Errorf("GET %s = %d %s", path, r.status, mainOf(r.body))
	}
	for _, text := range texts {
		if !strings.Contains(r.body, text) {
			s.t.Errorf("GET %s: no %q in\n%s", path, text, mainOf(r.body))
		}
	}
	return r.body
}

// mainOf is a page without its frame.
func mainOf(body string) string {
	if _, main, found := strings.Cut(body, "<main"); found {
		body = main
	}
	return body[:min(len(body), 3000)]
}

func (s *site) lacks(path string, texts ...string) {
	s.t.Helper()
	body := s.sees(path)
	for _, text := range texts {
		if strings.Contains(body, text) {
			s.t.Errorf("GET %s shows %q", path, text)
		}
	}
}

const password = "correct horse battery"

var passwordHash = sync.OnceValues(func() (string, error) { return HashPassword(password) })

// users are one of each role: admin@example.com, operator@example.com, viewer@example.com.
func (s *site) users() {
	s.t.Helper()
	hash, err := passwordHash()
	if err != nil {
		s.t.Fatal(err)
	}
	s.run(func(ctx context.Context, tx *dbctx.Tx) error {
		for _, role := range []string{"admin", "operator", "viewer"} {
			u := schema.User{Email: role + "@example.com", Name: role, Role: role, PasswordHash: hash, Weight: 1}
			if _, err := schema.InsertUser(ctx, tx, u, s.now()); err != nil {
				return err
			}
		}
		return nil
	})
}

// login forgets who was logged in before.
func (s *site) login(role string) {
	s.t.Helper()
	s.client = browser(s.t)
	r := s.tryLogin(role+"@example.com", password)
	if r.status != http.StatusSeeOther || r.header.Get("Location") != "/" {
		s.t.Fatalf("login as %s = %d to %q: %s", role, r.status, r.header.Get("Location"), r.body)
	}
}

func (s *site) tryLogin(email, password string) reply {
	s.t.Helper()
	return s.press("/login", url.Values{"email": {email}, "password": {password}})
}

// sent is what the form of a filled site sent; the ids of the leads are their places, from 1.
var sent = []string{
	`{"email":"ada@lovelace.example.org","name":"Ada Lovelace","phone":"+44 20 7946 0018","company":"Analytical Engines Ltd","country":"United Kingdom","message":"We want to buy ten mills, please call.","utm_source":"search"}`,
	`{"email":"<script>alert(1)</script>@example.com","name":"<script>alert(1)</script>"}`,
	`{"email":"GRACE.Hopper@navy.example.com","name":"grace hopper","phone":"+1 212 555 0123","company":"<script>alert('x')</script> Navy","country":"US"}`,
	`{"email":"zoe@müller.example","name":"Zoë Müller-Ångström","city":"Köln","country":"Germany"}`,
	`{"email":"spam@example.net","name":"win at http://casino.example"}`,
	`{"name":"Nobody"}`,
	`{"phone":"+33 1 99 00 12 34","name":"Marie Curie","company":"Radium"}`,
}

// sentLater is somebody whom we know by then.
const sentLater = `{"email":"ada@lovelace.example.org","name":"Ada L.","title":"Countess","phone":"+44 20 7946 0999"}`

// fill sends leads through the whole mill to three receivers: one takes them, one cannot now, one is gone for good.
func (s *site) fill() {
	s.t.Helper()
	s.run(func(ctx context.Context, tx *dbctx.Tx) error {
		for name, status := range map[string]int{"crm": 200, "erp": 503, "old": 410} {
			receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(status)
				fmt.Fprintf(w, "<b>%s</b> says %d", name, status)
			}))
			s.t.Cleanup(receiver.Close)
			_, err := schema.InsertDestination(ctx, tx, schema.Destination{
				Name: name, URL: receiver.URL + "/hook?token=hidden", Secret: "whsec_c2VjcmV0LXNlY3JldC1zZWNyZXQ=", AllowPrivate: true,
			}, s.now())
			if err != nil {
				return err
			}
		}
		source, err := schema.EnsureSource(ctx, tx, "web-form", s.now())
		if err != nil {
			return err
		}
		schema.SetSites(tx, source.ID, []string{"https://shop.example"}, []string{"https://shop.example/a-page-with-a-long-name-to-say-thanks"})
		form := schema.Form{ID: "A2B3C4D5E6F7G2H3I4J5K6L7M2", Secret: "token=hidden", Honeypot: "_gotcha", MinTime: 2 * time.Second}
		if err := schema.SetForm(ctx, tx, "web-form", form); err != nil {
			return err
		}
		return s.q.Enqueue(ctx, tx, jobs.ImportFile{ImportID: 404}) // fails
	})
	s.send(sent...)
	s.work()
	s.send(sentLater)
	file := strings.NewReader("E-Mail;Name;Telefon\nlise@example.org;Lise Meitner;+46 8 123 456 78\nbroken;Broken;\n")
	if _, _, err := s.q.TakeFile(s.t.Context(), "fair", "fair.csv", file); err != nil {
		s.t.Fatal(err)
	}
	s.work()
}

// send takes in what the form sends.
func (s *site) send(payloads ...string) {
	s.t.Helper()
	s.run(func(ctx context.Context, tx *dbctx.Tx) error {
		source, err := schema.SourceByName(ctx, tx, "web-form")
		for i, payload := range payloads {
			if err != nil {
				return err
			}
			_, _, err = s.q.Take(ctx, tx, schema.NewIntake{SourceID: source.ID, Hash: fmt.Sprint(i), Payload: payload})
		}
		return err
	})
}

// first returns the one id that a statement finds.
func (s *site) first(sql string) (n int64) {
	s.t.Helper()
	s.run(func(ctx context.Context, tx *dbctx.Tx) error { return tx.QueryRow(ctx, sql).Scan(&n) })
	return n
}
