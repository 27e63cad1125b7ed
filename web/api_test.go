package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/dbctx/dbctxtest"
	"github.com/leadmill/leadmill/jobs"
	"github.com/leadmill/leadmill/schema"
)

var apiDatabases = dbctxtest.New("api", jobs.Migrate)

// counter is a server without a log-in, two sources and their keys.
type counter struct {
	t          *testing.T
	db         *dbctx.DB
	q          *jobs.Queue
	server     *Server
	url        string
	key, other string
}

func newCounter(t *testing.T, db *dbctx.DB) *counter {
	t.Helper()
	s, url := serve(t, db)
	c := &counter{t: t, db: db, q: s.queue, server: s, url: url}
	c.run(func(ctx context.Context, tx *dbctx.Tx) error {
		for name, key := range map[string]*string{"form": &c.key, "shop": &c.other} {
			made, hash := jobs.NewKey()
			*key = made
			if _, err := schema.InsertSource(ctx, tx, name, "GB", hash, time.Now()); err != nil {
				return err
			}
		}
		return nil
	})
	return c
}

// serve runs a server on the database until the test ends.
func serve(tb testing.TB, db *dbctx.DB) (s *Server, url string) {
	tb.Helper()
	q, err := jobs.Open(tb.Context(), db, jobs.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(q.Close)
	if s, err = New(db, q, Config{}); err != nil {
		tb.Fatal(err)
	}
	h := httptest.NewServer(s.Handler())
	tb.Cleanup(h.Close)
	return s, h.URL
}

func (c *counter) run(fn func(context.Context, *dbctx.Tx) error) {
	c.t.Helper()
	if err := dbctx.Run(context.Background(), c.db, fn); err != nil {
		c.t.Fatal(err)
	}
}

// reply is an answer that has been read.
type reply struct {
	status int
	header http.Header
	body   string
}

func (c *counter) do(method, path, key, body string, headers ...string) reply {
	c.t.Helper()
	r, err := http.NewRequest(method, c.url+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return ask(c.t, http.DefaultTransport.RoundTrip, r)
}

// ask sends a request and reads the answer.
func ask(t *testing.T, send func(*http.Request) (*http.Response, error), r *http.Request) reply {
	t.Helper()
	response, err := send(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{response.StatusCode, response.Header, string(body)}
}

func (c *counter) post(body string, headers ...string) reply {
	c.t.Helper()
	return c.do("POST", "/api/v1/leads", c.key, body, headers...)
}

// stored counts intakes and jobs.
func (c *counter) stored() (n int) {
	c.t.Helper()
	c.run(func(ctx context.Context, tx *dbctx.Tx) error {
		return tx.QueryRow(ctx, `SELECT (SELECT count(*) FROM intakes) + (SELECT count(*) FROM river_job)`).Scan(&n)
	})
	return n
}

// work processes what was enqueued.
func (c *counter) work() {
	c.t.Helper()
	if err := c.q.Start(context.Background()); err != nil {
		c.t.Fatal(err)
	}
	defer func() {
		if err := c.q.Stop(context.Background()); err != nil {
			c.t.Error(err)
		}
	}()
	deadline := time.NewTimer(5 * time.Minute) // only a hang takes that long
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if idle, err := c.q.Idle(c.t.Context()); err != nil {
			c.t.Fatal(err)
		} else if idle {
			return
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			c.t.Fatal("the queue does not become idle")
		}
	}
}

// problemOf checks that an answer is a problem and returns it.
func (r reply) problemOf(t *testing.T, status int) (p problem) {
	t.Helper()
	if r.status != status || r.header.Get("Content-Type") != "application/problem+json" {
		t.Fatalf("answer = %d %s %s, want problem %d", r.status, r.header.Get("Content-Type"), r.body, status)
	}
	if err := json.Unmarshal([]byte(r.body), &p); err != nil || p.Status != status || p.Title == "" {
		t.Fatalf("problem = %s, %v", r.body, err)
	}
	return p
}

func decodeReply[T any](t *testing.T, r reply, status int) (v T) {
	t.Helper()
	if r.status != status {
		t.Fatalf("answer = %d %s, want %d", r.status, r.body, status)
	}
	if err := json.Unmarshal([]byte(r.body), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestALeadIsAcceptedAfterTheCommit(t *testing.T) {
	apiDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		c := newCounter(t, db)
		body := `{"email":"Ada@Example.com", "id":12345678901234567890}`
		r := c.post(body)
		a := decodeReply[accepted](t, r, http.StatusAccepted)
		if a.Status != "accepted" || a.StatusURL != "/api/v1/intakes/"+a.ID || r.header.Get("Location") != a.StatusURL {
			t.Errorf("answer = %+v, Location %q", a, r.header.Get("Location"))
		}
		c.run(func(ctx context.Context, tx *dbctx.Tx) error {
			in, err := schema.GetIntake(ctx, tx, id(a.ID))
			if err == nil && in.Payload != body {
				t.Errorf("payload = %s, want it byte for byte", in.Payload)
			}
			return err
		})
		if n := c.stored(); n != 2 {
			t.Errorf("%d rows are stored, want the intake and its job", n)
		}
	})
}

func TestFormsAreTaken(t *testing.T) {
	apiDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		c := newCounter(t, db)
		plain := c.post("email=ada%40example.com&tag=a&tag=b", "Content-Type", "application/x-www-form-urlencoded")
		decodeReply[accepted](t, plain, http.StatusAccepted)
		var b bytes.Buffer
		w := multipart.NewWriter(&b)
		w.WriteField("email", "bob@example.com")
		w.CreateFormFile("cv", "") // an input for a file that was left empty
		w.Close()
		parts := c.post(b.String(), "Content-Type", w.FormDataContentType())
		decodeReply[accepted](t, parts, http.StatusAccepted)
		c.run(func(ctx context.Context, tx *dbctx.Tx) error {
			list, err := schema.ListIntakes(ctx, tx, schema.IntakeFilter{})
			if err == nil && (list[1].Payload != `{"email":"ada@example.com","tag":["a","b"]}` || list[0].Payload != `{"cv":"","email":"bob@example.com"}`) {
				t.Errorf("payloads = %s and %s", list[1].Payload, list[0].Payload)
			}
			return err
		})
	})
}

func TestARefusedRequestChangesNothingAndRepeatsNoValue(t *testing.T) {
	apiDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		c := newCounter(t, db)
		for name, r := range map[string]struct {
			status int
			answer reply
		}{
			"no key":          {401, c.do("POST", "/api/v1/leads", "", `{"email":"secret@example.com"}`)},
			"wrong key":       {401, c.do("POST", "/api/v1/leads", "lmk_wrong", `{"email":"secret@example.com"}`)},
			"malformed":       {400, c.post(`{"email":"secret@example.com"`)},
			"array":           {400, c.post(`["secret@example.com"]`)},
			"two values":      {400, c.post(`{"email":"secret@example.com"} {}`)},
			"not UTF-8":       {400, c.post("{\"email\":\"secret\xff@example.com\"}")},
			"too deep":        {400, c.post(`{"secret":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`)},
			"type":            {415, c.post(`secret@example.com`, "Content-Type", "text/plain")},
			"too large":       {413, c.post(`{"secret":"` + strings.Repeat("x", 1<<20) + `"}`)},
			"empty":           {422, c.post(`{}`)},
			"mistyped":        {422, c.post(`{"email":{"secret":1},"name":["secret"]}`)},
			"key too long":    {400, c.post(`{"email":"secret@example.com"}`, "Idempotency-Key", strings.Repeat("k", 201))},
			"unknown call":    {404, c.do("GET", "/api/v2/secret", c.key, "")},
			"wrong method":    {405, c.do("DELETE", "/api/v1/leads", c.key, "")},
			"wrong method 2":  {405, c.do("DELETE", "/api/v1/leads/1", c.key, "")},
			"unknown hook":    {404, c.do("POST", "/hooks/x/secret", c.key, "{}")},
			"limit":           {400, c.do("GET", "/api/v1/leads?limit=1000", c.key, "")},
			"cursor":          {400, c.do("GET", "/api/v1/leads?cursor=x", c.key, "")},
			"unknown intake":  {404, c.do("GET", "/api/v1/intakes/999", c.key, "")},
			"no number":       {404, c.do("GET", "/api/v1/intakes/secret", c.key, "")},
			"unknown lead":    {404, c.do("GET", "/api/v1/leads/999", c.key, "")},
			"lead, no key":    {401, c.do("GET", "/api/v1/leads/999", "", "")},
			"events, no key":  {401, c.do("GET", "/api/v1/leads/999/events", "", "")},
			"leads, no key":   {401, c.do("GET", "/api/v1/leads", "", "")},
			"intakes, no key": {401, c.do("GET", "/api/v1/intakes/1", "", "")},
		} {
			p := r.answer.problemOf(t, r.status)
			if strings.Contains(r.answer.body, "secret") {
				t.Errorf("%s: the answer repeats a value: %s", name, r.answer.body)
			}
			if r.status == 401 && r.answer.header.Get("WWW-Authenticate") == "" || r.status == 405 && r.answer.header.Get("Allow") == "" {
				t.Errorf("%s: a header is missing in %v", name, r.answer.header)
			}
			if name == "mistyped" && (len(p.Errors) != 2 || p.Errors[0].Field != "email" || p.Errors[1].Field != "name") {
				t.Errorf("mistyped: fields %v, want e-mail and name", p.Errors)
			}
		}
		if n := c.stored(); n != 0 {
			t.Errorf("%d rows are stored after refusals, want none", n)
		}
	})
}

func TestAnIdempotencyKeyGetsTheSameAnswer(t *testing.T) {
	apiDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		c := newCounter(t, db)
		first := c.post(`{"email":"ada@example.com"}`, "Idempotency-Key", "order-17")
		again := c.post(`{"email":"ada@example.com"}`, "Idempotency-Key", "order-17")
		if again.status != 202 || again.body != first.body || again.header.Get("Idempotency-Replayed") != "true" || first.header.Get("Idempotency-Replayed") != "" {
			t.Errorf("first %+v, again %+v; want the same answer, marked", first, again)
		}
		c.post(`{"email":"bob@example.com"}`, "Idempotency-Key", "order-17").problemOf(t, 422)
		mine := c.do("POST", "/api/v1/leads", c.other, `{"email":"ada@example.com"}`, "Idempotency-Key", "order-17")
		if mine.status != 202 || mine.body == first.body {
			t.Errorf("another source's key = %+v, want an intake of its own", mine)
		}
		if n := c.stored(); n != 4 {
			t.Errorf("%d rows are stored, want two intakes and their jobs", n)
		}
	})
}

func TestAFormWithAFileIsRefused(t *testing.T) {
	c := newCounter(t, apiDatabases.Open(t, dbctx.SQLite))
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	w.WriteField("email", "bob@example.com")
	w.CreateFormFile("cv", "cv.pdf")
	w.Close()
	c.post(b.String(), "Content-Type", w.FormDataContentType()).problemOf(t, http.StatusUnsupportedMediaType)
}

func TestAFormSentAgainUnderItsKeyIsTheSameWhateverItsBoundary(t *testing.T) {
	apiDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		c := newCounter(t, db)
		send := func(email string) reply {
			var b bytes.Buffer
			w := multipart.NewWriter(&b) // a boundary of its own
			w.WriteField("email", email)
			w.Close()
			return c.post(b.String(), "Content-Type", w.FormDataContentType(), "Idempotency-Key", "order-17")
		}
		first, again := send("ada@example.com"), send("ada@example.com")
		if first.status != 202 || again.body != first.body || again.header.Get("Idempotency-Replayed") != "true" {
			t.Errorf("first %+v, again %+v; want the same answer, marked", first, again)
		}
		send("bob@example.com").problemOf(t, 422)
	})
}

func TestFiftyPostsUnderOneKeyAreOneIntake(t *testing.T) {
	apiDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		c := newCounter(t, db)
		var mu sync.Mutex
		bodies := map[string]int{}
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				r := c.post(`{"email":"ada@example.com"}`, "Idempotency-Key", "k")
				mu.Lock()
				defer mu.Unlock()
				bodies[fmt.Sprint(r.status, r.body)]++
			})
		}
		wg.Wait()
		if len(bodies) != 1 || c.stored() != 2 {
			t.Errorf("answers %v and %d rows, want one answer, one intake, one job", bodies, c.stored())
		}
	})
}

func TestASourceSeesWhatItSent(t *testing.T) {
	apiDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		c := newCounter(t, db)
		a := decodeReply[accepted](t, c.post(`{"email":"Ada@Example.com","name":"ada lovelace"}`), 202)
		if v := decodeReply[intakeAnswer](t, c.do("GET", a.StatusURL, c.key, ""), 200); v.Status != "pending" || v.LeadID != nil {
			t.Errorf("before the work = %+v, want pending", v)
		}
		c.work()
		v := decodeReply[intakeAnswer](t, c.do("GET", a.StatusURL, c.key, ""), 200)
		if v.Status != "accepted" || v.LeadID == nil || v.Reasons == nil {
			t.Fatalf("verdict = %+v, want accepted", v)
		}
		lead := "/api/v1/leads/" + *v.LeadID
		l := decodeReply[map[string]any](t, c.do("GET", lead, c.key, ""), 200)
		if l["email"] != "ada@example.com" || l["name"] != "Ada Lovelace" || l["id"] != *v.LeadID || l["fields"] == nil || l["parts"] == nil {
			t.Errorf("lead = %v", l)
		}
		events := decodeReply[struct{ Events []eventAnswer }](t, c.do("GET", lead+"/events", c.key, ""), 200)
		if len(events.Events) != 3 || events.Events[0].Kind != schema.Received {
			t.Errorf("events = %+v, want the story", events)
		}
		type page struct {
			Leads []leadItem
			Next  *string
		}
		if p := decodeReply[page](t, c.do("GET", "/api/v1/leads?email=ADA%2Bx@example.com", c.key, ""), 200); len(p.Leads) != 1 || p.Next != nil {
			t.Errorf("page by e-mail = %+v, want the lead", p)
		}
		for _, path := range []string{a.StatusURL, lead, lead + "/events"} {
			c.do("GET", path, c.other, "").problemOf(t, 404)
		}
		if p := decodeReply[page](t, c.do("GET", "/api/v1/leads", c.other, ""), 200); len(p.Leads) != 0 {
			t.Errorf("another source sees %+v, want nothing", p)
		}
	})
}

func TestListsArePaged(t *testing.T) {
	apiDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		c := newCounter(t, db)
		for i := range 5 {
			c.post(fmt.Sprintf(`{"email":"a%d@example.com"}`, i))
		}
		c.work()
		seen, cursor := 0, ""
		for range 4 {
			p := decodeReply[struct {
				Leads []leadItem
				Next  *string
			}](t, c.do("GET", "/api/v1/leads?limit=2"+cursor, c.key, ""), 200)
			seen += len(p.Leads)
			if p.Next == nil {
				break
			}
			cursor = "&cursor=" + *p.Next
		}
		if seen != 5 {
			t.Errorf("the pages show %d leads, want 5", seen)
		}
	})
}

func TestADatabaseThatIsAwayIs503(t *testing.T) {
	db := apiDatabases.Open(t, dbctx.Postgres)
	c := newCounter(t, db)
	if r := c.do("GET", "/readyz", "", ""); r.status != 200 {
		t.Fatalf("readyz = %d %s, want 200", r.status, r.body)
	}
	c.disconnect(db)
	for _, r := range []reply{c.post(`{"email":"ada@example.com"}`), c.do("GET", "/api/v1/leads", c.key, ""), c.do("GET", "/readyz", "", "")} {
		r.problemOf(t, 503)
		if r.header.Get("Retry-After") == "" {
			t.Errorf("503 without Retry-After: %v", r.header)
		}
	}
	if r := c.do("GET", "/healthz", "", ""); r.status != 200 {
		t.Errorf("healthz = %d, want 200: the process lives", r.status)
	}
	if r := c.do("GET", "/metrics", "", ""); r.status != 200 || !strings.Contains(r.body, "leadmill_db_connections") {
		t.Errorf("metrics = %d, want a scrape without the tables", r.status)
	}
}

func databaseOf(db *dbctx.DB) string { return db.PgxConfig().Database }

// disconnect lets nobody into the database any more and ends every connection to it.
func (c *counter) disconnect(db *dbctx.DB) {
	c.t.Helper()
	other := apiDatabases.Open(c.t, dbctx.Postgres)
	for _, sql := range []string{
		`ALTER DATABASE ` + databaseOf(db) + ` ALLOW_CONNECTIONS false`,
		`SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '` + databaseOf(db) + `'`,
	} {
		err := dbctx.Run(c.t.Context(), other, func(ctx context.Context, tx *dbctx.Tx) error {
			_, err := tx.Exec(ctx, sql)
			return err
		})
		if err != nil {
			c.t.Fatal(err)
		}
	}
}

func TestReadinessTurnsOffBeforeTheEnd(t *testing.T) {
	apiDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		c := newCounter(t, db)
		c.server.Stopping()
		c.do("GET", "/readyz", "", "").problemOf(t, 503)
		decodeReply[accepted](t, c.post(`{"email":"ada@example.com"}`), 202)
	})
}

func TestMetricsTellTheQueue(t *testing.T) {
	apiDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		c := newCounter(t, db)
		c.post(`{"email":"ada@example.com"}`)
		c.server.metrics.ObserveDone(20 * time.Millisecond)
		r := c.do("GET", "/metrics", "", "")
		for _, want := range []string{
			`leadmill_jobs{queue="live",state="available"} 1`, "leadmill_oldest_waiting_job_seconds",
			"leadmill_intake_to_done_seconds_count 1", `leadmill_db_connections{state="max"}`,
			`leadmill_http_request_seconds_count{route="POST /api/v1/leads",status="202"} 1`,
		} {
			if !strings.Contains(r.body, want) {
				t.Errorf("metrics lack %s", want)
			}
		}
		if strings.Contains(r.body, "ada@") {
			t.Error("metrics hold personal data")
		}
	})
}

func TestAPanicIsAnAnswer(t *testing.T) {
	s := &Server{log: slog.New(slog.DiscardHandler)}
	h := s.recover(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("oops") }))
	rec := httptest.NewRecorder()
	h.ServeHTTP(&recorder{ResponseWriter: rec}, httptest.NewRequest("GET", "/", nil))
	if rec.Code != 500 || strings.Contains(rec.Body.String(), "oops") {
		t.Errorf("answer = %d %s, want 500 without the panic", rec.Code, rec.Body)
	}
}

func TestAHandlerThatPanicsLeavesNoScopeOpen(t *testing.T) {
	apiDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		c := newCounter(t, db)
		c.server.config.Dev = true // who writes needs no log-in
		h := c.server.recover(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			c.server.write(r, func(ctx context.Context, tx *dbctx.Tx) error {
				if _, err := schema.InsertSource(ctx, tx, "half", "GB", "hash", time.Now()); err != nil {
					t.Error(err)
				}
				panic("oops")
			})
		}))
		for range 2 {
			rec := httptest.NewRecorder()
			h.ServeHTTP(&recorder{ResponseWriter: rec}, httptest.NewRequest("POST", "/", nil))
			if rec.Code != 500 {
				t.Errorf("answer = %d, want 500", rec.Code)
			}
			if s := db.Stats(); s.Scopes != 0 || s.InUse != 0 {
				t.Errorf("%d scopes and %d connections are held behind the answer, want none", s.Scopes, s.InUse)
			}
		}
		err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
			_, err := schema.SourceByName(ctx, tx, "half")
			return err
		})
		if !errors.Is(err, schema.ErrNotFound) {
			t.Errorf("the source of the handler that panicked: %v, want ErrNotFound", err)
		}
		decodeReply[accepted](t, c.post(`{"email":"ada@example.com"}`), 202)
	})
}

// refusal makes every commit with a new intake fail at its very end.
var refusal = map[dbctx.Dialect][]string{
	dbctx.Postgres: {
		`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''refused''; END'`,
		`CREATE CONSTRAINT TRIGGER late AFTER INSERT ON intakes DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()`,
	},
	dbctx.SQLite: {
		`CREATE TABLE late (lead INTEGER REFERENCES leads (id) DEFERRABLE INITIALLY DEFERRED)`,
		`CREATE TRIGGER late_intake AFTER INSERT ON intakes BEGIN INSERT INTO late VALUES (-1); END`,
	},
}

func TestACommitThatFailsIsNeverAccepted(t *testing.T) {
	apiDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		c := newCounter(t, db)
		c.run(func(ctx context.Context, tx *dbctx.Tx) error {
			for _, sql := range refusal[db.Dialect()] {
				if _, err := tx.Exec(ctx, sql); err != nil {
					return err
				}
			}
			return nil
		})
		c.post(`{"email":"ada@example.com"}`).problemOf(t, 500)
		if n := c.stored(); n != 0 {
			t.Errorf("%d rows are stored, want none", n)
		}
	})
}
