package web

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/jobs"
	"github.com/leadmill/leadmill/lead/hook"
	"github.com/leadmill/leadmill/schema"
)

// all checks that the answers to a call are documented, and that they are of these statuses.
func (c *contract) all(call string, answers []reply, want ...int) {
	c.t.Helper()
	var got []int
	for _, r := range answers {
		got = append(got, r.status)
		c.says(call, r)
	}
	if !slices.Equal(got, want) {
		c.t.Errorf("%s answers %v, want %v", call, got, want)
	}
}

func TestAnswersToBatchesAreAsDocumented(t *testing.T) {
	t.Parallel()
	apiDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		c := newCounter(t, db)
		const two = `[{"email":"ada@example.com"},{"email":[]}]`
		newContract(t).all("POST /api/v1/leads/batch", []reply{
			c.batch(two, "Idempotency-Key", "k"), c.batch(two, "Idempotency-Key", "k"), c.batch(`[{"phone":"1"}]`, "Idempotency-Key", "k"),
			c.batch("{\"phone\":\"020 7946 0123\"}\nbroken\n", "Content-Type", "application/x-ndjson"),
			c.batch(`[`), c.batch(two, "Idempotency-Key", strings.Repeat("k", 201)), c.do("POST", "/api/v1/leads/batch", "", two),
			c.batch(two, "Sec-Fetch-Site", "cross-site"), c.batch(manyItems(1001)), c.batch(two, "Content-Type", "text/csv"), c.batch(`[]`),
		}, 202, 202, 422, 202, 400, 400, 401, 403, 413, 415, 422)
	})
}

func TestAnswersToFormsAreAsDocumented(t *testing.T) {
	t.Parallel()
	siteDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		doc := newContract(t)
		s := newSite(t, db, Config{})
		path := s.form([]string{"https://shop.example"}, []string{"https://shop.example"})
		ada := url.Values{"email": {"ada@example.com"}}
		led := url.Values{"email": {"ada@example.com"}, "_redirect": {"https://shop.example/thanks"}}
		const call = "/f/{form_id}"
		doc.all("POST "+call, []reply{
			s.press(path, ada, "Idempotency-Key", "k"), s.press(path, ada, "Idempotency-Key", "k"), s.press(path, led, "Idempotency-Key", "k"),
			s.press(path, ada, "Accept", fromABrowser), s.press(path, led), s.do("POST", path, "", `{"email":"ada@example.com"}`),
			s.do("POST", path, "", `{`), s.press(path, ada, "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"), s.press("/f/OTHER", ada),
			s.press(path, url.Values{"message": {strings.Repeat("x", formLimitBytes)}}), s.press(path, ada, "Content-Type", "text/plain"),
			s.press(path, url.Values{}),
		}, 202, 202, 422, 303, 303, 202, 400, 403, 404, 413, 415, 422)
		flood := s.press(path, ada)
		for range 40 {
			if flood.status != 429 {
				flood = s.press(path, ada)
			}
		}
		doc.all("POST "+call, []reply{flood}, 429)
		doc.all("GET "+call+"/token", []reply{s.get(path + "/token"), s.get("/f/OTHER/token")}, 200, 404)
		doc.all("OPTIONS "+call, []reply{s.do("OPTIONS", path, "", "", "Origin", "https://shop.example"), s.do("OPTIONS", "/f/OTHER", "", "")}, 204, 404)
		doc.all("OPTIONS /api/v1/leads", []reply{s.do("OPTIONS", "/api/v1/leads", "", "", "Origin", "https://shop.example")}, 204)
	})
}

func TestAnswersToHooksAreAsDocumented(t *testing.T) {
	t.Parallel()
	hookDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		doc := newContract(t)
		c := newHooks(t, db, "")
		send := func(path, body string, headers ...string) reply { return c.do("POST", path, "", body, headers...) }
		large := strings.Repeat(" ", bodyLimit+1)
		posts := c.hookPosts()

		const google = "/hooks/google/form"
		doc.all("POST /hooks/google/{source}", []reply{
			posts[hook.Google]("1"), posts[hook.Google]("1"), send(google, `{`), send(google, googleBody("1", "wrong")),
			send(google, googleBody("1", googleKey), "Sec-Fetch-Site", "cross-site"), c.do("GET", google, "", ""), send(google, large),
			send(google, googleBody("", googleKey)),
		}, 200, 200, 400, 401, 403, 405, 413, 422)

		const meta = "/hooks/meta/form"
		handshake := func(token, challenge string) reply {
			return c.do("GET", meta+"?hub.mode=subscribe&hub.verify_token="+token+"&hub.challenge="+challenge, "", "")
		}
		doc.all("GET /hooks/meta/{source}", []reply{
			handshake(verifyToken, "1158201444"), handshake(verifyToken, "%3Cb%3E"), handshake("wrong", "1158201444"),
		}, 200, 400, 403)
		doc.all("POST /hooks/meta/{source}", []reply{
			posts[hook.Meta]("1"), posts[hook.Meta]("1"), send(meta, `{}`, "X-Hub-Signature-256", metaSignature(`{}`, appSecret)), send(meta, `{}`),
			send(meta, `{}`, "Sec-Fetch-Site", "cross-site"), c.do("PUT", meta, "", ""), send(meta, large),
		}, 200, 200, 400, 401, 403, 405, 413)

		const standard = "/hooks/standard/form"
		doc.all("POST /hooks/standard/{source}", []reply{
			posts[hook.Standard]("1"), posts[hook.Standard]("1"), send(standard, `{`, standardHeaders("2", `{`, signingSecret, time.Now())...),
			send(standard, `{}`), send(standard, `{}`, standardHeaders("2", `{}`, jobs.NewSecret(), time.Now())...),
			send(standard, `{}`, "Sec-Fetch-Site", "cross-site"), c.do("GET", standard, "", ""), send(standard, large),
		}, 202, 202, 400, 400, 401, 403, 405, 413)
	})
}

func TestAnswersOverALimitAreAsDocumented(t *testing.T) {
	t.Parallel()
	hookDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		doc := newContract(t)
		c := newHooks(t, db, "")
		c.limit(schema.SourceLimits{PerDay: 1})
		c.run(func(ctx context.Context, tx *dbctx.Tx) error {
			return schema.SetForm(ctx, tx, "form", schema.Form{ID: "FORM"})
		})
		const ada = `{"email":"ada@example.com"}`
		doc.all("POST /api/v1/leads", []reply{c.post(ada), c.post(ada)}, 202, 429)
		doc.all("POST /api/v1/leads/batch", []reply{c.batch("[" + ada + "]")}, 429)
		doc.all("POST /f/{form_id}", []reply{c.do("POST", "/f/FORM", "", ada)}, 429)
		for kind, post := range c.hookPosts() {
			doc.all("POST /hooks/"+kind+"/{source}", []reply{post("1")}, 429)
		}
	})
}
