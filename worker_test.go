package leadmill_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"testing"
	"time"

	webhook "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/dbctx/dbctxtest"
	"github.com/leadmill/leadmill/jobs"
	"github.com/leadmill/leadmill/schema"
	"github.com/leadmill/leadmill/web"
)

// The whole program in one process: leads in at the door, delivered at the end, on every database.

var databases = dbctxtest.New("leadmill", jobs.Migrate)

func TestMain(m *testing.M) {
	dbctxtest.Main(m, func() error { return os.RemoveAll(programs) })
}

// house is web and worker on one database, a receiver, and the keys of three sources.
type house struct {
	tb       testing.TB
	db       *dbctx.DB
	door     *httptest.Server
	keys     []string
	receiver *receiver
}

const secret = "whsec_bGVhZG1pbGwgdGVzdHMgc2lnbiB3aXRoIHRoaXM="

func newHouse(tb testing.TB, db *dbctx.DB) *house {
	tb.Helper()
	h := &house{tb: tb, db: db, receiver: newReceiver(tb)}
	q, err := jobs.Open(tb.Context(), db, jobs.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	server, err := web.New(db, q, web.Config{})
	if err != nil {
		tb.Fatal(err)
	}
	h.furnish()
	h.door = httptest.NewServer(server.Handler())
	if err := q.Start(context.Background()); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		h.door.Close()
		if err := q.Stop(context.Background()); err != nil {
			tb.Error(err)
		}
		q.Close()
	})
	return h
}

// furnish puts three sources and three owners into the database.
func (h *house) furnish() {
	now := time.Now().UTC().Truncate(time.Microsecond)
	h.run(func(ctx context.Context, tx *dbctx.Tx) error {
		for i := range 3 {
			key, hash := jobs.NewKey()
			h.keys = append(h.keys, key)
			if _, err := schema.InsertSource(ctx, tx, fmt.Sprintf("form-%d", i), "GB", hash, now); err != nil {
				return err
			}
			u := schema.User{Email: fmt.Sprintf("owner%d@example.com", i), Role: "viewer", Weight: i + 1}
			if _, err := schema.InsertUser(ctx, tx, u, now); err != nil {
				return err
			}
		}
		return nil
	})
}

// deliver has every lead delivered to the receiver.
func (h *house) deliver() {
	h.tb.Helper()
	h.run(func(ctx context.Context, tx *dbctx.Tx) error {
		_, err := schema.InsertDestination(ctx, tx, schema.Destination{
			Name: "crm", URL: h.receiver.URL, Secret: secret, AllowPrivate: true,
		}, time.Now().UTC())
		return err
	})
}

func (h *house) run(fn func(context.Context, *dbctx.Tx) error, options ...dbctx.Option) {
	h.tb.Helper()
	if err := dbctx.Run(context.Background(), h.db, fn, options...); err != nil {
		h.tb.Fatal(err)
	}
}

// post sends a lead in and returns its intake's id.
func (h *house) post(key, body string) string {
	h.tb.Helper()
	request, err := http.NewRequest(http.MethodPost, h.door.URL+"/api/v1/leads", bytes.NewReader([]byte(body)))
	if err != nil {
		h.tb.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+key)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		h.tb.Error(err)
		return ""
	}
	defer response.Body.Close()
	answer, _ := io.ReadAll(response.Body)
	if response.StatusCode != http.StatusAccepted {
		h.tb.Errorf("POST = %d %s, want 202", response.StatusCode, answer)
		return ""
	}
	var accepted struct{ ID string }
	if err := json.Unmarshal(answer, &accepted); err != nil {
		h.tb.Error(err)
	}
	return accepted.ID
}

// get reads an answer of the API into v.
func (h *house) get(key, path string, v any) {
	h.tb.Helper()
	request, err := http.NewRequest(http.MethodGet, h.door.URL+path, nil)
	if err != nil {
		h.tb.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+key)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		h.tb.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		h.tb.Fatalf("GET %s = %d, want 200", path, response.StatusCode)
	}
	if err := json.NewDecoder(response.Body).Decode(v); err != nil {
		h.tb.Fatal(err)
	}
}

type verdict struct {
	Status  string
	LeadID  *string `json:"lead_id"`
	Reasons []struct{ Field, Code, Message string }
}

// verdict waits until an intake has one.
func (h *house) verdict(key, intake string) (v verdict) {
	h.tb.Helper()
	until(h.tb, "a verdict", func() bool {
		v = verdict{}
		h.get(key, "/api/v1/intakes/"+intake, &v)
		return v.Status != "pending"
	})
	return v
}

// until polls with a deadline.
func until(tb testing.TB, what string, is func() bool) {
	tb.Helper()
	deadline := time.NewTimer(5 * time.Minute) // only a hang takes that long
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-deadline.C:
			tb.Fatalf("%s did not come about", what)
		}
	}
}

// receiver checks every signature with the library of Standard Webhooks, which shares no code with ours.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	got    map[string]int // calls by webhook-id
	leads  []string
	called chan struct{} // one token for each call, as far as anybody waits
}

func newReceiver(tb testing.TB) *receiver {
	oracle, err := webhook.NewWebhook(secret)
	if err != nil {
		tb.Fatal(err)
	}
	r := &receiver{got: map[string]int{}, called: make(chan struct{}, 1)}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(request.Body)
		if err != nil {
			tb.Error(err)
		}
		if err := oracle.Verify(body, request.Header); err != nil {
			tb.Errorf("a delivery's signature is refused: %v", err)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		r.take(request.Header.Get("Webhook-Id"), body)
	}))
	tb.Cleanup(r.Close)
	return r
}

func (r *receiver) take(id string, body []byte) {
	var message struct{ Data struct{ ID string } }
	_ = json.Unmarshal(body, &message)
	r.mu.Lock()
	r.got[id]++
	r.leads = append(r.leads, message.Data.ID)
	r.mu.Unlock()
	select {
	case r.called <- struct{}{}:
	default:
	}
}

// calls counts how often the receiver was told of a lead.
func (r *receiver) calls(lead string) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range r.leads {
		if id == lead {
			n++
		}
	}
	return n
}

func TestALeadComesInAtTheDoorAndIsDelivered(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		h := newHouse(t, db)
		h.deliver()
		intake := h.post(h.keys[0], `{"email":"Ada@Example.com","name":"ada lovelace","phone":"020 7946 0123"}`)
		v := h.verdict(h.keys[0], intake)
		if v.Status != "accepted" || v.LeadID == nil {
			t.Fatalf("verdict = %+v, want accepted with a lead", v)
		}
		until(t, "the delivery", func() bool { return h.receiver.calls(*v.LeadID) == 1 })
		var l struct {
			Email, Phone, State, Owner string
			Score                      int
			Parts                      []struct{ Points int }
		}
		h.get(h.keys[0], "/api/v1/leads/"+*v.LeadID, &l)
		if l.Email != "ada@example.com" || l.Phone != "+442079460123" || l.State != "owned" || l.Owner == "" {
			t.Errorf("lead = %+v, want it normalised and owned", l)
		}
		sum := 0
		for _, p := range l.Parts {
			sum += p.Points
		}
		if sum != l.Score || l.Score == 0 {
			t.Errorf("score = %d, its parts add up to %d", l.Score, sum)
		}
		h.settled()
		var story struct{ Events []struct{ Kind string } }
		h.get(h.keys[0], "/api/v1/leads/"+*v.LeadID+"/events", &story)
		var kinds []string
		for _, e := range story.Events {
			kinds = append(kinds, e.Kind)
		}
		want := "[received scored assigned delivery_planned delivered]"
		if fmt.Sprint(kinds) != want {
			t.Errorf("events = %v, want %v", kinds, want)
		}
	})
}

// settled waits until no delivery is open.
func (h *house) settled() {
	h.tb.Helper()
	until(h.tb, "the end of all deliveries", func() bool {
		var open int64
		h.run(func(ctx context.Context, tx *dbctx.Tx) (err error) {
			open, err = schema.OpenDeliveries(ctx, tx)
			return err
		}, dbctx.ReadOnly())
		return open == 0
	})
}

// rounds of the storm below.
const (
	storms = 200
	posts  = 50
)

func TestParallelPostsOfOnePersonAreOneLead(t *testing.T) {
	rounds := storms
	if testing.Short() {
		rounds = 20
	}
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		h := newHouse(t, db)
		for round := range rounds {
			h.storm(round)
		}
		var pending int64
		until(t, "all verdicts", func() bool {
			h.run(func(ctx context.Context, tx *dbctx.Tx) error {
				f, err := schema.Funnel(ctx, tx, time.Unix(0, 0))
				pending = f.Pending
				return err
			}, dbctx.ReadOnly())
			return pending == 0
		})
		h.run(func(ctx context.Context, tx *dbctx.Tx) error {
			f, err := schema.Funnel(ctx, tx, time.Unix(0, 0))
			if want := int64(rounds); err == nil && (f.Accepted != want || f.Duplicate != want*(posts-1)) {
				t.Errorf("%d accepted and %d duplicates in %d rounds, want one lead each and the rest duplicates",
					f.Accepted, f.Duplicate, rounds)
			}
			return err
		})
	})
}

// storm posts one person many times at once, through all sources, in several forms.
func (h *house) storm(round int) {
	forms := []string{
		`{"email":"storm%[1]d@example.com","name":"Storm %[1]d"}`,
		`{"email":"STORM%[1]d+tag@Example.com","phone":"+44 20 7946 %04[1]d"}`,
		`{"phone":"020 7946 %04[1]d","email":"storm%[1]d@example.com"}`,
	}
	var wg sync.WaitGroup
	for i := range posts {
		form := forms[i%len(forms)]
		wg.Go(func() { h.post(h.keys[i%len(h.keys)], fmt.Sprintf(form, round)) })
	}
	wg.Wait()
}
