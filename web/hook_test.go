package web

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/dbctx/dbctxtest"
	"github.com/leadmill/leadmill/jobs"
	"github.com/leadmill/leadmill/lead/hook"
	"github.com/leadmill/leadmill/schema"
)

var hookDatabases = dbctxtest.New("hook", jobs.Migrate)

// Secrets of the hooks that are made here. Those of the shared cases are the same.
const (
	googleKey   = "sample-google-key"
	appSecret   = "sample-meta-app-secret"
	verifyToken = "sample-verify-token"
	pageToken   = "page-token-that-nobody-may-see"
)

var signingSecret = jobs.NewSecret()

// newHooks is a counter with a hook of each kind for the source "form", and an owner. Meta's leads are fetched from graph.
func newHooks(t *testing.T, db *dbctx.DB, graph string) *counter {
	t.Helper()
	c := newCounter(t, db)
	c.run(func(ctx context.Context, tx *dbctx.Tx) error {
		source, err := schema.SourceByName(ctx, tx, "form")
		if err != nil {
			return err
		}
		for _, h := range []schema.Hook{
			{Kind: hook.Google, Secret: jobs.HashKey(googleKey)},
			{Kind: hook.Meta, Secret: appSecret, VerifyHash: jobs.HashKey(verifyToken), AccessToken: pageToken, GraphURL: graph, AllowPrivate: true},
			{Kind: hook.Standard, Secret: signingSecret},
		} {
			h.SourceID = source.ID
			if err := schema.InsertHook(ctx, tx, h, time.Now()); err != nil {
				return err
			}
		}
		_, err = schema.InsertUser(ctx, tx, schema.User{Email: "owner@example.com", Role: "viewer", Weight: 1}, time.Now())
		return err
	})
	return c
}

// only is the one intake there is.
func (c *counter) only() schema.Intake {
	c.t.Helper()
	list := c.intakes()
	if len(list) != 1 {
		c.t.Fatalf("there are %d intakes, want 1", len(list))
	}
	return list[0]
}

func (c *counter) leadOf(in schema.Intake) (l schema.Lead) {
	c.t.Helper()
	c.run(func(ctx context.Context, tx *dbctx.Tx) (err error) {
		l, err = schema.GetLead(ctx, tx, in.LeadID)
		return err
	})
	return l
}

func (r reply) is(t *testing.T, name string, status int) {
	t.Helper()
	if r.status != status || status >= 400 && r.header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("%s: answered %d %s, want %d", name, r.status, r.body, status)
	}
}

// sharedHooks reads a file of the shared test data, or skips.
func sharedHooks(t *testing.T, path string, v any) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../shared/data/webhooks", path))
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("the shared test data is not here")
	}
	if err == nil {
		err = json.Unmarshal(text, v)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func googleBody(id, key string) string {
	return fmt.Sprintf(`{"lead_id":%q, "google_key" : %q,"form_id":9007199254740993,"user_column_data":[
		{"column_id":"FULL_NAME","string_value":"Ada Beispiel"},{"column_id":"EMAIL","string_value":"ada@example.com"},{"column_id":"size?","string_value":"L"}]}`, id, key)
}

func TestALeadOfGoogleIsTakenOnceAndOwned(t *testing.T) {
	hookDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		c := newHooks(t, db, "")
		for i, campaign := range []string{"", "", " "} {
			r := c.do("POST", "/hooks/google/form", "", googleBody("lead1", googleKey)+campaign)
			r.is(t, "google", http.StatusOK)
			if r.body != "{}\n" || (r.header.Get("Idempotency-Replayed") == "true") != (i > 0) {
				t.Errorf("answer %d = %s with %v, want the same again, marked", i, r.body, r.header)
			}
		}
		if n := c.stored(); n != 2 {
			t.Errorf("%d rows are stored, want an intake and its job", n)
		}
		c.work()
		in := c.only()
		if want := googleBody("lead1", ""); in.Payload != want || in.Format != hook.Google {
			t.Errorf("payload = %s, want it byte for byte, but for the key: %s", in.Payload, want)
		}
		l := c.leadOf(in)
		if l.State != schema.StateOwned || l.Value("email") != "ada@example.com" || l.Value("name") != "Ada Beispiel" || l.Extra["size?"] != "L" ||
			fmt.Sprint(l.Extra["form_id"]) != "9007199254740993" {
			t.Errorf("lead = %+v, want it owned and whole", l)
		}
	})
}

func TestWhatNoDatabaseHoldsIsNoReasonToGetStuck(t *testing.T) {
	hookDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		c := newHooks(t, db, "")
		odd := strings.Replace(googleBody("lead1", googleKey), "9007199254740993", `1e999999,"nul":"a\u0000b","half":"\ud800"`, 1)
		c.do("POST", "/hooks/google/form", "", odd).is(t, "google", http.StatusOK)
		c.work()
		if in := c.only(); in.Status != "accepted" || c.leadOf(in).Extra["form_id"] != "1e999999" {
			t.Errorf("intake = %+v, want it accepted", in)
		}
	})
}

func TestTestsAreTakenAndGoNoFurther(t *testing.T) {
	hookDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		c := newHooks(t, db, "")
		google := strings.Replace(googleBody("lead1", googleKey), "{", `{"is_test":true,`, 1)
		c.do("POST", "/hooks/google/form", "", google).is(t, "google", http.StatusOK)
		meta := `{"entry":[{"changes":[{"field":"leadgen","value":{"leadgen_id":"444444444444"}}]}]}`
		for range 2 {
			c.do("POST", "/hooks/meta/form", "", meta, "X-Hub-Signature-256", metaSignature(meta, appSecret)).is(t, "meta", http.StatusOK)
		}
		c.work()
		list := c.intakes()
		if len(list) != 2 {
			t.Fatalf("%d intakes, want 2", len(list))
		}
		for _, in := range list {
			if in.Status != "rejected" || in.LeadID != 0 || !hook.IsTest(in.Reasons) {
				t.Errorf("%s = %s for %v, want it rejected as a test", in.Payload, in.Status, in.Reasons)
			}
		}
	})
}

func TestWhoIsNotThePlatformIsRefusedAndNothingIsStored(t *testing.T) {
	hookDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		c := newHooks(t, db, "")
		body := `{"entry":[]}`
		for _, source := range []string{"form", "shop", "nobody", strings.Repeat("x", 200)} {
			for name, r := range map[string]reply{
				"google":           c.do("POST", "/hooks/google/"+source, "", googleBody("a", "wrong")),
				"google, its hash": c.do("POST", "/hooks/google/"+source, "", googleBody("a", jobs.HashKey(googleKey))),
				"google, no key":   c.do("POST", "/hooks/google/"+source, "", `{"lead_id":5}`),
				"meta":             c.do("POST", "/hooks/meta/"+source, "", body, "X-Hub-Signature-256", metaSignature(body, "wrong")),
				"meta, unsigned":   c.do("POST", "/hooks/meta/"+source, "", body),
			} {
				r.is(t, name, http.StatusUnauthorized)
				if p := r.problemOf(t, http.StatusUnauthorized); p.Detail != errHook.Detail {
					t.Errorf("%s of %s says %s, want what it says of all", name, source, p.Detail)
				}
			}
			r := c.do("POST", "/hooks/standard/"+source, "", "{}", standardHeaders("msg_1", "{}", jobs.NewSecret(), time.Now())...)
			if p := r.problemOf(t, http.StatusUnauthorized); p.Detail != hook.ErrSignature.Error() {
				t.Errorf("standard of %s says %s", source, p.Detail)
			}
			c.do("GET", "/hooks/meta/"+source+"?hub.mode=subscribe&hub.challenge=1&hub.verify_token=wrong", "", "").is(t, "handshake", http.StatusForbidden)
		}
		if n := c.stored(); n != 0 {
			t.Errorf("%d rows are stored, want none", n)
		}
	})
}

func TestWhatCannotBeTakenIsNamed(t *testing.T) {
	hookDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		c := newHooks(t, db, "")
		metaPost := func(body string) reply {
			return c.do("POST", "/hooks/meta/form", "", body, "X-Hub-Signature-256", metaSignature(body, appSecret))
		}
		standardPost := func(body string) reply {
			return c.do("POST", "/hooks/standard/form", "", body, standardHeaders("msg_1", body, signingSecret, time.Now())...)
		}
		large := `{"a":"` + strings.Repeat("x", bodyLimit) + `"}`
		c.do("POST", "/hooks/google/form", "", "lead_id=1").is(t, "a form", http.StatusBadRequest)
		c.do("POST", "/hooks/google/form", "", "{\"a\":\"\xff\"}").is(t, "no UTF-8", http.StatusBadRequest)
		c.do("POST", "/hooks/google/form", "", large).is(t, "large", http.StatusRequestEntityTooLarge)
		c.do("GET", "/hooks/google/form", "", "").is(t, "GET", http.StatusMethodNotAllowed)
		if r := c.do("PUT", "/hooks/meta/form", "", "{}"); r.status != http.StatusMethodNotAllowed || r.header.Get("Allow") != "GET, POST" {
			t.Errorf("PUT = %d, allowed are %s", r.status, r.header.Get("Allow"))
		}
		c.do("POST", "/hooks/other/form", "", "{}").is(t, "another kind", http.StatusNotFound)
		metaPost("leadgen_id=1").is(t, "a form of Meta", http.StatusBadRequest)
		metaPost(large).is(t, "large of Meta", http.StatusRequestEntityTooLarge)
		standardPost("").is(t, "nothing", http.StatusBadRequest)
		standardPost("[1]").is(t, "a list", http.StatusBadRequest)
		standardPost(large).is(t, "large, signed", http.StatusRequestEntityTooLarge)
		r := c.do("POST", "/hooks/google/form", "", `{"google_key":"`+googleKey+`","lead_id":"a secret","user_column_data":7}`)
		if p := r.problemOf(t, http.StatusUnprocessableEntity); len(p.Errors) != 2 || strings.Contains(r.body, "secret") || strings.Contains(r.body, googleKey) {
			t.Errorf("problem = %s, want both fields named and no value", r.body)
		}
		if n := c.stored(); n != 0 {
			t.Errorf("%d rows are stored, want none", n)
		}
	})
}

func TestTheSecretBeforeIsGoodUntilItsTimeIsOver(t *testing.T) {
	hookDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		c := newHooks(t, db, "")
		rotate := func(key string, until time.Duration) {
			c.run(func(ctx context.Context, tx *dbctx.Tx) error {
				h, err := schema.HookOf(ctx, tx, hook.Google, "form")
				if err != nil {
					return err
				}
				h.Secret = jobs.HashKey(key)
				end := time.Now().Add(until)
				return schema.RotateHook(ctx, tx, h, &end)
			})
		}
		rotate("new-key", time.Hour)
		c.do("POST", "/hooks/google/form", "", googleBody("a", googleKey)).is(t, "the old key", http.StatusOK)
		c.do("POST", "/hooks/google/form", "", googleBody("b", "new-key")).is(t, "the new key", http.StatusOK)
		rotate("newest-key", -time.Second)
		c.do("POST", "/hooks/google/form", "", googleBody("c", "new-key")).is(t, "a key that is over", http.StatusUnauthorized)
		c.do("POST", "/hooks/google/form", "", googleBody("d", "newest-key")).is(t, "the newest key", http.StatusOK)
	})
}

func TestTheCasesOfGoogle(t *testing.T) {
	var file struct {
		Cases []struct {
			Name, Expect string
			Body         json.RawMessage
		}
	}
	sharedHooks(t, "google-lead-form-cases.json", &file)
	hookDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		c := newHooks(t, db, "")
		for _, k := range file.Cases {
			r := c.do("POST", "/hooks/google/form", "", string(k.Body))
			switch {
			case !strings.HasPrefix(k.Expect, "refused"):
				r.is(t, k.Name, http.StatusOK)
			case strings.Contains(k.Expect, "field named"):
				if p := r.problemOf(t, http.StatusUnprocessableEntity); p.Errors[0].Field != "lead_id" {
					t.Errorf("%s: %s, want the field named", k.Name, r.body)
				}
			default:
				r.is(t, k.Name, http.StatusUnauthorized)
			}
		}
		c.work()
		byID := map[string]schema.Intake{}
		for _, in := range c.intakes() {
			var payload struct {
				ID  string `json:"lead_id"`
				Key string `json:"google_key"`
			}
			if err := json.Unmarshal([]byte(in.Payload), &payload); err != nil || payload.Key != "" || byID[payload.ID].ID != 0 {
				t.Errorf("payload of %s: key %q, stored before as %d, %v", payload.ID, payload.Key, byID[payload.ID].ID, err)
			}
			byID[payload.ID] = in
		}
		if len(byID) != 7 {
			t.Errorf("%d leads were taken, want 7", len(byID))
		}
		first := byID["TGVhZE1pbGxTYW1wbGUwMDAx"]
		l := c.leadOf(first)
		for field, want := range map[string]string{"name": "Wilma Testermann", "email": "wilma.testermann@example.com", "phone": "+12125550147", "company": "Example Widgets Ltd",
			"title": "Head of Purchasing", "city": "Springfield", "country": "US", "postal_code": "00000"} {
			if l.Value(field) != want {
				t.Errorf("%s = %q, want %q", field, l.Value(field), want)
			}
		}
		if l.Extra["which_product_interests_you?"] != "Blue widgets" || l.State != schema.StateOwned {
			t.Errorf("lead = %+v, want the question kept, and an owner", l)
		}
		read := func(id string) (fields map[string]string, extra map[string]any) {
			s, _ := hook.Read(byID[id].Format, []byte(byID[id].Payload))
			return s.Fields, s.Extra
		}
		if _, extra := read("TGVhZE1pbGxTYW1wbGUwMDA0"); extra["lead_stage"] != "SUBMITTED" || extra["something_new"] == nil || extra["asset_group_id"] == nil {
			t.Errorf("unknown fields: %v", extra)
		}
		if fields, _ := read("TGVhZE1pbGxTYW1wbGUwMDA1"); fields["email"] != "only.id@example.org" || fields["first_name"] != "Only" || fields["last_name"] != "Id" {
			t.Errorf("without column_name: %v", fields)
		}
		if _, extra := read("TGVhZE1pbGxTYW1wbGUwMDA2"); fmt.Sprintf("%v %v", extra["form_id"], extra["campaign_id"]) != "9007199254740993 9223372036854775807" {
			t.Errorf("ids = %v", extra)
		}
		if fields, _ := read("TGVhZE1pbGxTYW1wbGUwMDA3"); fields["email"] != "zoe.pruefling@example.net" || fields["first_name"] != "Zoë" {
			t.Errorf("work e-mail: %v", fields)
		}
		if in := byID["TGVhZE1pbGxUZXN0MDAwMQ"]; in.Status != "rejected" || !hook.IsTest(in.Reasons) {
			t.Errorf("the test lead is %s for %v", in.Status, in.Reasons)
		}
		if in := byID["TGVhZE1pbGxTYW1wbGUwMDA4"]; in.Status != "rejected" || len(in.Reasons) == 0 {
			t.Errorf("the empty lead is %s for %v", in.Status, in.Reasons)
		}
	})
}

func metaSignature(body, secret string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

func standardHeaders(id, body, secret string, at time.Time) []string {
	stamp := strconv.FormatInt(at.Unix(), 10)
	signature, err := jobs.Sign(secret, id, stamp, []byte(body))
	if err != nil {
		panic(err)
	}
	return []string{"Webhook-Id", id, "Webhook-Timestamp", stamp, "Webhook-Signature", signature}
}

// graph is a Graph API that knows some leads.
type graph struct {
	*httptest.Server
	mu    sync.Mutex
	asked map[string]int // by id
	auth  string         // of the last call
	url   string         // of the last call
}

func newGraph(t *testing.T, answer func(id string, n int, w http.ResponseWriter)) *graph {
	g := &graph{asked: map[string]int{}}
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := strings.TrimPrefix(r.URL.Path, "/v1.0/")
		g.mu.Lock()
		g.asked[id]++
		n := g.asked[id]
		g.auth, g.url = r.Header.Get("Authorization"), r.URL.String()
		g.mu.Unlock()
		answer(id, n, w)
	}))
	t.Cleanup(g.Close)
	return g
}

func (g *graph) base() string { return g.URL + "/v1.0" }

func (g *graph) total() (n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, times := range g.asked {
		n += times
	}
	return n
}

func graphLead(id string, _ int, w http.ResponseWriter) {
	fmt.Fprintf(w, `{"id":%q,"field_data":[{"name":"full_name","values":["Olga Muster"]},{"name":"email","values":["olga.%s@example.com"]}]}`, id, id)
}

func metaNotice(ids ...string) string {
	var changes []string
	for _, id := range ids {
		changes = append(changes, `{"field":"leadgen","value":{"leadgen_id":`+id+`,"form_id":"2","ad_id":9007199254740993}}`)
	}
	return `{"object":"page","entry":[{"id":"1","changes":[` + strings.Join(changes, ",") + `]}]}`
}

func TestALeadOfMetaIsFetchedOnceAndOwned(t *testing.T) {
	hookDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		g := newGraph(t, graphLead)
		c := newHooks(t, db, g.base())
		tell := func(body string) {
			r := c.do("POST", "/hooks/meta/form", "", body, "X-Hub-Signature-256", metaSignature(body, appSecret))
			r.is(t, "notification", http.StatusOK)
		}
		tell(metaNotice(`"11"`, `12`))
		tell(metaNotice(`"11"`))
		if n := c.stored(); n != 2 {
			t.Errorf("%d jobs are stored, want one for each lead", n)
		}
		c.work()
		tell(metaNotice(`12`, `"13"`))
		c.work()
		list := c.intakes()
		if len(list) != 3 || g.total() != 3 {
			t.Fatalf("%d intakes after %d calls, want 3 of each", len(list), g.total())
		}
		for _, in := range list {
			l := c.leadOf(in)
			id, _ := l.Extra["leadgen_id"].(string)
			if l.State != schema.StateOwned || l.Value("email") != "olga."+id+"@example.com" || fmt.Sprint(l.Extra["ad_id"]) != "9007199254740993" || in.Format != hook.Meta {
				t.Errorf("lead = %+v of %+v, want it owned, with what was told and what was fetched", l, in)
			}
		}
		if g.auth != "Bearer "+pageToken || strings.Contains(g.url, pageToken) {
			t.Errorf("the token went in %q and %q, want it in the header alone", g.auth, g.url)
		}
	})
}

func TestManyNotificationsOfTheSameLeadsAtOnceAddThemOnce(t *testing.T) {
	hookDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		g := newGraph(t, graphLead)
		c := newHooks(t, db, g.base())
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				ids := []string{`"21"`, `"22"`, `"23"`}
				if i%2 == 1 {
					ids = []string{`23`, `22`, `21`}
				}
				body := metaNotice(ids...)
				c.do("POST", "/hooks/meta/form", "", body, "X-Hub-Signature-256", metaSignature(body, appSecret)).is(t, "notification", http.StatusOK)
				c.do("POST", "/hooks/google/form", "", googleBody("same", googleKey)).is(t, "google", http.StatusOK)
				c.do("POST", "/hooks/standard/form", "", `{"email":"s@example.com"}`, standardHeaders("msg_same", `{"email":"s@example.com"}`, signingSecret, time.Now())...).
					is(t, "standard", http.StatusAccepted)
			})
		}
		wg.Wait()
		c.work()
		if n := len(c.intakes()); n != 5 || g.total() != 3 {
			t.Errorf("%d intakes after %d calls, want 5 after 3", n, g.total())
		}
	})
}

func TestTheHandshakeOfMeta(t *testing.T) {
	hookDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		c := newHooks(t, db, "")
		ask := func(mode, token, challenge string) reply {
			return c.do("GET", "/hooks/meta/form?hub.mode="+mode+"&hub.verify_token="+token+"&hub.challenge="+challenge, "", "")
		}
		r := ask("subscribe", verifyToken, "1158201444")
		if r.status != http.StatusOK || r.body != "1158201444" || r.header.Get("Content-Type") != "text/plain; charset=utf-8" {
			t.Errorf("answer = %d %q as %s, want the challenge", r.status, r.body, r.header.Get("Content-Type"))
		}
		ask("subscribe", "wrong", "1").is(t, "wrong token", http.StatusForbidden)
		ask("subscribe", "", "1").is(t, "no token", http.StatusForbidden)
		ask("unsubscribe", verifyToken, "1").is(t, "another mode", http.StatusForbidden)
		r = ask("subscribe", verifyToken, "%3Cscript%3E")
		if r.is(t, "markup", http.StatusBadRequest); strings.Contains(r.body, "script") {
			t.Errorf("answer = %s, want nothing of it", r.body)
		}
	})
}

func TestTheCasesOfMeta(t *testing.T) {
	var file struct {
		Handshake []struct {
			Query  map[string]string
			Expect struct {
				Status int
				Body   string
			}
		}
		Cases []struct {
			Name, Raw, Expect string
			Signature         string `json:"x_hub_signature_256"`
		}
		Graph struct {
			OK struct{ Body json.RawMessage }
		}
	}
	sharedHooks(t, "meta-leadgen-cases.json", &file)
	hookDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		g := newGraph(t, func(id string, _ int, w http.ResponseWriter) {
			_, _ = w.Write([]byte(strings.Replace(string(file.Graph.OK.Body), "400000000000001", id, 1)))
		})
		c := newHooks(t, db, g.base())
		for _, h := range file.Handshake {
			path := "/hooks/meta/form?"
			for name, value := range h.Query {
				path += name + "=" + value + "&"
			}
			r := c.do("GET", path, "", "")
			if r.is(t, path, h.Expect.Status); h.Expect.Body != "" && r.body != h.Expect.Body {
				t.Errorf("%s answers %s, want %s", path, r.body, h.Expect.Body)
			}
		}
		for _, k := range file.Cases {
			r := c.do("POST", "/hooks/meta/form", "", k.Raw, "X-Hub-Signature-256", k.Signature)
			switch {
			case strings.HasPrefix(k.Expect, "200"):
				r.is(t, k.Name, http.StatusOK)
			case k.Name == "not JSON":
				r.is(t, k.Name, http.StatusBadRequest)
			default:
				r.is(t, k.Name, http.StatusUnauthorized)
			}
		}
		c.work()
		tests, leads := 0, 0
		for _, in := range c.intakes() {
			if hook.IsTest(in.Reasons) {
				tests++
			} else if l := c.leadOf(in); l.Value("email") == "olga.muster@example.org" && l.Value("name") == "Olga Muster" && l.Value("company") == "Muster & Söhne" {
				leads++
			}
		}
		if tests != 1 || leads != 6 || len(g.asked) != 6 || g.total() != 6 || g.asked["400000000000005"] != 1 {
			t.Errorf("%d tests and %d leads after asking %v; want 1 and 6, each asked for once", tests, leads, g.asked)
		}
	})
}

func TestAMessageOfStandardWebhooksIsTakenOnceAndOwned(t *testing.T) {
	hookDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		c := newHooks(t, db, "")
		body := `{"type":"form.sent","timestamp":"2026-03-02T09:30:00Z","data":{"email":"ada@example.com","name":"Ada Beispiel","order":9007199254740993}}`
		post := func(at time.Time) reply {
			return c.do("POST", "/hooks/standard/form", "", body, standardHeaders("msg_1", body, signingSecret, at)...)
		}
		first := post(time.Now())
		again := post(time.Now().Add(time.Second)) // signed anew, as an honest sender does
		a, b := decodeReply[accepted](t, first, http.StatusAccepted), decodeReply[accepted](t, again, http.StatusAccepted)
		if a != b || first.header.Get("Idempotency-Replayed") != "" || again.header.Get("Idempotency-Replayed") != "true" {
			t.Errorf("answers %+v and %+v, want the same, the second marked", a, b)
		}
		post(time.Now().Add(-time.Hour)).is(t, "an old one", http.StatusUnauthorized)
		if n := c.stored(); n != 2 {
			t.Errorf("%d rows are stored, want the intake and its job", n)
		}
		c.work()
		in := c.only()
		l := c.leadOf(in)
		if in.Payload != body || l.State != schema.StateOwned || l.Value("email") != "ada@example.com" || fmt.Sprint(l.Extra["order"]) != "9007199254740993" {
			t.Errorf("lead = %+v of %s", l, in.Payload)
		}
	})
}

func TestTheVectorsOfStandardWebhooks(t *testing.T) {
	type request struct {
		Name, Reason, Secret, Body string
		Now                        int64
		Headers                    map[string]string
	}
	var file struct{ Accept, Reject []request }
	sharedHooks(t, "standard-webhooks-vectors.json", &file)
	hookDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		c := newHooks(t, db, "")
		var now int64
		s, err := New(db, c.q, Config{Now: func() time.Time { return time.Unix(now, 0) }})
		if err != nil {
			t.Fatal(err)
		}
		h := httptest.NewServer(s.Handler())
		t.Cleanup(h.Close)
		c.url = h.URL
		send := func(n int, r request) reply {
			now = r.Now
			source := fmt.Sprintf("vector-%d", n) // each has its own, so that none is a repeat
			c.run(func(ctx context.Context, tx *dbctx.Tx) error {
				made, err := schema.EnsureSource(ctx, tx, source, time.Now())
				if err != nil {
					return err
				}
				return schema.InsertHook(ctx, tx, schema.Hook{SourceID: made.ID, Kind: hook.Standard, Secret: r.Secret}, time.Now())
			})
			var headers []string
			for name, value := range r.Headers {
				headers = append(headers, name, value)
			}
			return c.do("POST", "/hooks/standard/"+source, "", r.Body, headers...)
		}
		for n, r := range file.Accept {
			want := http.StatusAccepted
			if r.Body == "" {
				want = http.StatusBadRequest // signed, but no lead
			}
			send(n, r).is(t, r.Name, want)
		}
		taken := c.stored()
		for n, r := range file.Reject {
			want := http.StatusUnauthorized
			if r.Reason == "missing_header" || r.Reason == "timestamp_malformed" {
				want = http.StatusBadRequest
			}
			send(len(file.Accept)+n, r).is(t, r.Name, want)
		}
		if n := c.stored(); n != taken || n != 2*(len(file.Accept)-1) {
			t.Errorf("%d rows are stored, %d of them with what was accepted", n, taken)
		}
	})
}
