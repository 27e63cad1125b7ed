package web

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/leadmill/leadmill/dbctx"
)

func recordFailure(s *Server, path string, err error) reply {
	w := httptest.NewRecorder()
	s.fail(w, visit{r: httptest.NewRequest(http.MethodGet, path, nil), err: err})
	return reply{w.Code, w.Header(), w.Body.String()}
}

func TestEveryPageAsksForALogin(t *testing.T) {
	siteDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		s := newSite(t, db, Config{})
		for _, path := range listPages {
			want := "/login"
			if path != "/" {
				want += "?next=" + url.QueryEscape(path)
			}
			if r := s.get(path); r.status != http.StatusSeeOther || r.header.Get("Location") != want {
				t.Errorf("GET %s = %d to %q, want %q", path, r.status, r.header.Get("Location"), want)
			}
		}
		for _, path := range []string{"/deliveries/1/retry", "/deliveries/1/delivered", "/failed/jobs/1/retry", "/intakes/1/release", "/cron/purge/run"} {
			if r := s.press(path, nil); r.status != http.StatusSeeOther || r.header.Get("Location") != "/login" {
				t.Errorf("POST %s = %d to %q, want the log-in", path, r.status, r.header.Get("Location"))
			}
		}
		s.isGuarded("/login")
	})
}

func TestLogin(t *testing.T) {
	siteDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		s := newSite(t, db, Config{})
		s.users()
		for _, c := range [][2]string{
			{"admin@example.com", "guessed-it"}, {"nobody@example.com", password}, {"", ""}, {"admin@example.com", strings.Repeat("x", 2000)},
		} {
			r := s.tryLogin(c[0], c[1])
			if r.status != http.StatusForbidden || !strings.Contains(r.body, "is wrong") || r.header.Get("Set-Cookie") != "" {
				t.Errorf("login of %q = %d %v", c[0], r.status, r.header)
			}
			if c[1] != "" && strings.Contains(r.body, c[1]) {
				t.Error("the password is repeated")
			}
		}
		r := s.press("/login", url.Values{"email": {" Admin@Example.com "}, "password": {password}, "next": {"/leads?q=a"}})
		if r.status != http.StatusSeeOther || r.header.Get("Location") != "/leads?q=a" {
			t.Fatalf("login = %d to %q", r.status, r.header.Get("Location"))
		}
		cookie := r.header.Get("Set-Cookie")
		for _, want := range []string{"leadmill=", "HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=43200"} {
			if !strings.Contains(cookie, want) {
				t.Errorf("cookie %q has no %s", cookie, want)
			}
		}
		s.sees("/leads", "admin@example.com", "Log out")
		r = s.press("/login", url.Values{"email": {"admin@example.com"}, "password": {password}, "next": {"//evil.example"}})
		if r.header.Get("Location") != "/" {
			t.Errorf("login leads to %q", r.header.Get("Location"))
		}
	})
}

func TestASessionEnds(t *testing.T) {
	siteDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		s := newSite(t, db, Config{})
		s.users()
		s.login("admin")
		mine := s.client
		s.pass(sessionLife - time.Minute)
		s.sees("/leads")
		s.pass(2 * time.Minute)
		if r := s.get("/leads"); r.status != http.StatusSeeOther {
			t.Errorf("a page after %s = %d, want the log-in", sessionLife, r.status)
		}

		s.login("admin")
		token := s.token()
		if r := s.press("/logout", nil); r.status != http.StatusSeeOther || r.header.Get("Location") != "/login" {
			t.Errorf("logout = %d to %q", r.status, r.header.Get("Location"))
		}
		if s.token() != "" {
			t.Error("the cookie is still there after log-out")
		}
		s.client = mine
		if r := s.get("/leads", "Cookie", "leadmill="+token); r.status != http.StatusSeeOther {
			t.Errorf("a page with the token of a session that was logged out = %d", r.status)
		}
	})
}

func (s *site) token() string {
	u, err := url.Parse(s.url)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, c := range s.client.Jar.Cookies(u) {
		return c.Value
	}
	return ""
}

func TestALoginNeverTakesOverASession(t *testing.T) {
	siteDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		s := newSite(t, db, Config{})
		s.users()
		u, err := url.Parse(s.url)
		if err != nil {
			t.Fatal(err)
		}
		planted := "planted-by-somebody-else"
		s.client.Jar.SetCookies(u, []*http.Cookie{{Name: "leadmill", Value: planted, Path: "/"}})
		s.tryLogin("admin@example.com", password)
		first := s.token()
		s.tryLogin("admin@example.com", password)
		if second := s.token(); first == planted || second == first {
			t.Errorf("tokens %q, %q: want a new one at each log-in", first, second)
		}
		if n := s.first(`SELECT count(*) FROM sessions`); n != 1 {
			t.Errorf("%d sessions, want the old one to be gone", n)
		}
		if n := s.first(`SELECT count(*) FROM sessions WHERE token_hash = '` + s.token() + `'`); n != 0 {
			t.Error("the token is stored as it is")
		}
	})
}

func TestTriesToLogInAreBounded(t *testing.T) {
	siteDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		s := newSite(t, db, Config{})
		s.users()
		status := 0
		for range 10 {
			status = s.tryLogin("admin@example.com", "wrong").status
		}
		if status != http.StatusForbidden {
			t.Errorf("try 10 = %d, want 403", status)
		}
		r := s.tryLogin("admin@example.com", password)
		if r.status != http.StatusTooManyRequests || r.header.Get("Retry-After") == "" {
			t.Errorf("try 11 = %d, Retry-After %q, want 429", r.status, r.header.Get("Retry-After"))
		}
		s.login("viewer")
		s.pass(11 * time.Second)
		s.login("admin")
		for i := range 40 {
			status = s.tryLogin(fmt.Sprintf("user%d@example.com", i), "wrong").status
		}
		if status != http.StatusTooManyRequests {
			t.Errorf("try 40 from one address = %d, want 429", status)
		}
	})
}

func TestCookiesOverTLSBelongToThisHost(t *testing.T) {
	s := &Server{config: Config{Secure: true}}
	if c := s.cookie("x"); c.Name != "__Host-leadmill" || !c.Secure || c.Path != "/" || c.Domain != "" {
		t.Errorf("cookie = %+v", c)
	}
}

func TestOtherSitesChangeNothing(t *testing.T) {
	siteDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		s := newSite(t, db, Config{})
		s.users()
		s.login("admin")
		for _, headers := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Origin", "https://evil.example"}} {
			for _, path := range []string{"/cron/purge/run", "/login", "/logout", "/deliveries/1/retry"} {
				if r := s.press(path, nil, headers...); r.status != http.StatusForbidden {
					t.Errorf("POST %s with %v = %d, want 403", path, headers, r.status)
				}
			}
		}
		if r := s.press("/api/v1/leads", nil, "Sec-Fetch-Site", "cross-site"); r.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("the API answers %d %v", r.status, r.header)
		}
		s.sees("/leads")
	})
}

func TestDevServesThisMachineOnly(t *testing.T) {
	siteDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		s := newSite(t, db, Config{Dev: true})
		s.sees("/cron", "dev, no log-in")
		for _, host := range []string{"localhost:1", "127.0.0.1", "[::1]:8080", "[::1]", "LOCALHOST"} {
			if r := s.get("/", "Host", host); r.status != http.StatusOK {
				t.Errorf("Host %s = %d", host, r.status)
			}
		}
		for _, host := range []string{"evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.nip.io", "192.168.0.7"} {
			for _, path := range []string{"/", "/api/v1/leads", "/jobs/", "/static/app.css"} {
				if r := s.get(path, "Host", host); r.status != http.StatusMisdirectedRequest {
					t.Errorf("Host %s, %s = %d, want 421", host, path, r.status)
				}
			}
		}
		if r := s.get("/login?next=/leads"); r.status != http.StatusSeeOther || r.header.Get("Location") != "/leads" {
			t.Errorf("GET /login = %d to %q", r.status, r.header.Get("Location"))
		}
	})
}
