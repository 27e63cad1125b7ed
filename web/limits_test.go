package web

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/jobs"
	"github.com/leadmill/leadmill/lead/hook"
	"github.com/leadmill/leadmill/schema"
)

func (c *counter) limit(l schema.SourceLimits) {
	c.t.Helper()
	c.run(func(ctx context.Context, tx *dbctx.Tx) error { return schema.LimitSource(ctx, tx, "form", l) })
}

func TestASourceOverItsLimitIsToldWhenToComeAgain(t *testing.T) {
	for name, l := range map[string]schema.SourceLimits{"rate": {Rate: 0.01, Burst: 3}, "day": {PerDay: 3}} {
		apiDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
			c := newCounter(t, db)
			c.limit(l)
			for i := range 3 {
				decodeReply[accepted](t, c.post(fmt.Sprintf(`{"email":"a%d@example.com"}`, i), "Idempotency-Key", fmt.Sprint(i)), 202)
			}
			if r := c.post(`{"email":"a0@example.com"}`, "Idempotency-Key", "0"); r.status != 202 {
				t.Errorf("%s: a repeat = %d, want it to cost nothing", name, r.status)
			}
			for range 2 { // found out, and remembered
				r := c.post(`{"email":"b@example.com"}`)
				p := r.problemOf(t, 429)
				seconds, err := strconv.Atoi(r.header.Get("Retry-After"))
				if err != nil || seconds < 1 || seconds > 86400 || name == "rate" && seconds > 100 || p.Detail == "" {
					t.Errorf("%s: Retry-After %q", name, r.header.Get("Retry-After"))
				}
			}
			c.batch(`[{"email":"b@example.com"}]`).problemOf(t, 429)
			if r := c.do("POST", "/api/v1/leads", c.other, `{"email":"b@example.com"}`); r.status != 202 {
				t.Errorf("%s: another source = %d", name, r.status)
			}
			if n := c.stored(); n != 8 {
				t.Errorf("%s: %d rows are stored, want four intakes and their jobs", name, n)
			}
		})
	}
}

// hookPosts are posts of the platforms to the hooks of newHooks, each of one lead of that id.
func (c *counter) hookPosts() map[string]func(id string) reply {
	return map[string]func(string) reply{
		hook.Google: func(id string) reply { return c.do("POST", "/hooks/google/form", "", googleBody(id, googleKey)) },
		hook.Meta: func(id string) reply {
			body := metaNotice(id)
			return c.do("POST", "/hooks/meta/form", "", body, "X-Hub-Signature-256", metaSignature(body, appSecret))
		},
		hook.Standard: func(id string) reply {
			const body = `{"email":"ada@example.com"}`
			return c.do("POST", "/hooks/standard/form", "", body, standardHeaders(id, body, signingSecret, time.Now())...)
		},
	}
}

func TestAHookOverALimitOfItsSourceIsToldWhenToComeAgain(t *testing.T) {
	for name, l := range map[string]schema.SourceLimits{"rate": {Rate: 0.01, Burst: 3}, "day": {PerDay: 3}} {
		for _, kind := range hook.Kinds {
			hookDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
				c := newHooks(t, db, "")
				c.limit(l)
				post := c.hookPosts()[kind]
				for _, id := range []string{"1", "2", "3", "3", "1"} { // repeats cost nothing
					if r := post(id); r.status >= 300 {
						t.Errorf("%s: %s %s = %d %s", name, kind, id, r.status, r.body)
					}
				}
				before := c.stored()
				for range 2 { // found out, and remembered
					r := post("4")
					if r.problemOf(t, 429); r.header.Get("Retry-After") == "" {
						t.Errorf("%s: %s is not told when to come again", name, kind)
					}
				}
				if after := c.stored(); after != before {
					t.Errorf("%s: %s stored %d rows over the limit", name, kind, after-before)
				}
				stranger := c.do("POST", "/hooks/"+kind+"/form", "", googleBody("5", "wrong"), standardHeaders("5", "", jobs.NewSecret(), time.Now())...)
				if stranger.status != 401 {
					t.Errorf("%s: a stranger at %s = %d, want nothing told of limits", name, kind, stranger.status)
				}
			})
		}
	}
}

func TestANotificationIsTakenWholeOrNotAtAll(t *testing.T) {
	hookDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		c := newHooks(t, db, "")
		c.limit(schema.SourceLimits{PerDay: 3})
		tell := func(ids ...string) int {
			body := metaNotice(ids...)
			return c.do("POST", "/hooks/meta/form", "", body, "X-Hub-Signature-256", metaSignature(body, appSecret)).status
		}
		if got := []int{tell("1", "2"), tell("3", "4"), c.stored()}; !slices.Equal(got, []int{200, 429, 2}) {
			t.Errorf("two, two more and what is stored = %v, want the second refused whole", got)
		}
	})
}

func TestAHookKeepsTheSizeOfItsSource(t *testing.T) {
	hookDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		c := newHooks(t, db, "")
		c.limit(schema.SourceLimits{MaxBytes: 256})
		long := strings.Repeat("1", 257)
		body := strings.Replace(metaNotice("1"), `"2"`, `"`+long+`"`, 1)
		c.do("POST", "/hooks/meta/form", "", body, "X-Hub-Signature-256", metaSignature(body, appSecret)).problemOf(t, 413)
		if r := c.hookPosts()[hook.Meta]("1"); r.status != 200 {
			t.Errorf("a short one = %d", r.status)
		}
		c.hookPosts()[hook.Google](long[:150]).problemOf(t, 413)
		c.do("POST", "/hooks/google/form", "", googleBody("1", "wrong")).problemOf(t, 401)
		body = `{"x":"` + long + `"}`
		c.do("POST", "/hooks/standard/form", "", body, standardHeaders("1", body, signingSecret, time.Now())...).problemOf(t, 413)
	})
}

func TestABatchCountsEachOfItsItems(t *testing.T) {
	apiDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		c := newCounter(t, db)
		c.limit(schema.SourceLimits{PerDay: 5})
		two := `[{"email":"a@example.com"},{"email":[]},{"email":"b@example.com"}]` // one is refused and not counted
		for i, want := range []int{202, 202, 429} {
			r := c.batch(two)
			if r.status != want || want == 429 && !strings.Contains(r.problemOf(t, 429).Detail, "send 1 or fewer") {
				t.Errorf("batch %d = %d %s, want %d", i, r.status, r.body, want)
			}
		}
		if r := c.post(`{"email":"c@example.com"}`); r.status != 202 {
			t.Errorf("the fifth = %d, want the batch that was refused to cost nothing", r.status)
		}
	})
}

func TestAFormKeepsTheLimitsOfItsSource(t *testing.T) {
	siteDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		s := newSite(t, db, Config{})
		path := s.form(nil, nil)
		s.run(func(ctx context.Context, tx *dbctx.Tx) error {
			return schema.LimitSource(ctx, tx, "shop", schema.SourceLimits{PerDay: 2, MaxBytes: 300})
		})
		s.press(path, url.Values{"message": {strings.Repeat("x", 300)}}).problemOf(t, 413)
		ada := url.Values{"email": {"ada@example.com"}}
		for i, want := range []int{202, 202, 429, 429} {
			r := s.press(path, ada)
			if r.status != want || want == 429 && r.header.Get("Retry-After") == "" {
				t.Errorf("form %d = %d %v, want %d", i, r.status, r.header, want)
			}
		}
		if n := len(s.intakes()); n != 2 {
			t.Errorf("%d are stored, want 2", n)
		}
	})
}

func TestTheFleetKeepsALimitTogether(t *testing.T) {
	apiDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		c := newCounter(t, db)
		c.limit(schema.SourceLimits{PerDay: 15})
		other, err := New(db, c.q, Config{})
		if err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		answers := map[int]int{}
		var wg sync.WaitGroup
		for i := range 40 {
			wg.Go(func() {
				in := submission{payload: []byte(`{"email":"a@example.com"}`)}
				server := []*Server{c.server, other}[i%2]
				_, _, err := server.store(context.Background(), &sender{Source: c.source()}, "", in)
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					answers[202]++
				} else if p := server.problemOf(nil, err); p != nil {
					answers[p.Status]++
				}
			})
		}
		wg.Wait()
		if answers[202] != 15 || answers[429] != 25 {
			t.Errorf("answers of two servers = %v, want 15 taken and the rest told to wait", answers)
		}
	})
}

func (c *counter) source() (s schema.Source) {
	c.run(func(ctx context.Context, tx *dbctx.Tx) (err error) {
		s, err = schema.SourceByName(ctx, tx, "form")
		return err
	})
	return s
}

func TestASourceHasALimitOfSize(t *testing.T) {
	apiDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		c := newCounter(t, db)
		c.limit(schema.SourceLimits{MaxBytes: 1024})
		large := `{"email":"a@example.com","x":"` + strings.Repeat("x", 1024) + `"}`
		c.post(large).problemOf(t, 413)
		a := decodeReply[batchAnswer](t, c.batch("["+large+`,{"email":"b@example.com"}]`), 202)
		if a.Accepted != 1 || a.Items[0].Reasons[0].Code != "too_large" {
			t.Errorf("batch = %+v, want the large one refused", a)
		}
	})
}

func TestAKeyEndsWithinASecond(t *testing.T) {
	siteDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		s := newSite(t, db, Config{})
		first, hash := jobs.NewKey()
		s.run(func(ctx context.Context, tx *dbctx.Tx) error {
			_, err := schema.InsertSource(ctx, tx, "form", "", hash, s.now())
			return err
		})
		send := func(key string) int {
			return s.do("POST", "/api/v1/leads", key, `{"email":"ada@example.com"}`).status
		}
		if got := send(first); got != 202 {
			t.Fatalf("a key = %d", got)
		}
		second, hash := jobs.NewKey()
		s.run(func(ctx context.Context, tx *dbctx.Tx) error {
			return schema.RotateKey(ctx, tx, "form", hash, s.now(), time.Hour)
		})
		if a, b := send(first), send(second); a != 202 || b != 202 {
			t.Errorf("in the overlap = %d and %d", a, b)
		}
		var keys []schema.SourceKey
		s.run(func(ctx context.Context, tx *dbctx.Tx) error {
			source, err := schema.SourceByName(ctx, tx, "form")
			if err == nil {
				keys, err = schema.ListKeys(ctx, tx, source.ID)
			}
			return err
		})
		if len(keys) != 2 || keys[0].ExpiresAt == nil || keys[1].ExpiresAt != nil || keys[0].UsedAt == nil || keys[1].UsedAt == nil {
			t.Fatalf("keys = %+v, want an old one that ends and a new one, both used", keys)
		}
		s.pass(2 * time.Hour)
		if a, b := send(first), send(second); a != 401 || b != 202 {
			t.Errorf("after the overlap = %d and %d, want the old one gone", a, b)
		}
		s.run(func(ctx context.Context, tx *dbctx.Tx) error { return schema.RevokeKey(ctx, tx, "form", keys[1].ID) })
		s.pass(senderFreshFor)
		if got := send(second); got != 401 {
			t.Errorf("revoked = %d", got)
		}
	})
}

func TestAKnownKeyIsLookedUpOnceASecond(t *testing.T) {
	var l senders
	now := time.Now()
	looks := 0
	read := func(context.Context) (*sender, error) { looks++; return &sender{}, nil }
	for range 100 {
		if _, err := l.get(t.Context(), "a", now, read); err != nil {
			t.Fatal(err)
		}
	}
	l.get(t.Context(), "a", now.Add(senderFreshFor), read)
	if looks != 2 {
		t.Errorf("%d looks, want one and one a second later", looks)
	}
	missing := func(context.Context) (*sender, error) { return nil, schema.ErrNotFound }
	for i := range 100 {
		l.get(t.Context(), fmt.Sprint(i), now, missing)
	}
	if len(l.known) != 1 {
		t.Errorf("%d are kept, want nobody who was not found", len(l.known))
	}
}
