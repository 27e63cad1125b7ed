package jobs

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/dbctx/dbctxtest"
	"github.com/leadmill/leadmill/lead/hook"
	"github.com/leadmill/leadmill/schema"
)

var fetchDatabases = dbctxtest.New("fetch", Migrate)

// page is a source with a hook of Meta, and a queue that fetches.
type page struct {
	*depot
	source schema.Source
}

const pageToken = "token-that-nobody-may-see"

func newPage(t *testing.T, db *dbctx.DB, graph string, allowPrivate bool) *page {
	t.Helper()
	p := &page{depot: newDepot(t, db)}
	p.run(func(ctx context.Context, tx *dbctx.Tx) (err error) {
		if p.source, err = schema.EnsureSource(ctx, tx, "ads", p.q.now()); err != nil {
			return err
		}
		return schema.InsertHook(ctx, tx, schema.Hook{SourceID: p.source.ID, Source: "ads", Kind: hook.Meta, Secret: "s",
			AccessToken: pageToken, GraphURL: graph, AllowPrivate: allowPrivate}, p.q.now())
	})
	return p
}

// tell takes notifications of leads in.
func (p *page) tell(ids ...string) {
	p.t.Helper()
	p.run(func(ctx context.Context, tx *dbctx.Tx) error {
		var changes []hook.Change
		for _, id := range ids {
			changes = append(changes, hook.Change{ID: id, Notice: []byte(`{"leadgen_id":"` + id + `"}`)})
		}
		_, err := p.q.TakeChanges(ctx, tx, p.source.ID, changes)
		return err
	})
}

// fetch is what became of a lead that was told of.
func (p *page) fetch(ref string) (f schema.Fetch, h schema.Hook) {
	p.t.Helper()
	var id int64
	p.run(func(ctx context.Context, tx *dbctx.Tx) (err error) {
		if err := tx.QueryRow(ctx, `SELECT id FROM fetches WHERE ref = $1`, ref).Scan(&id); err != nil {
			return err
		}
		f, h, err = schema.GetFetch(ctx, tx, id)
		return err
	})
	return f, h
}

func (p *page) settled(ref string) func() bool {
	return func() bool {
		f, _ := p.fetch(ref)
		return f.State != schema.FetchOpen || f.Tries > 0
	}
}

func (p *page) failed(t *testing.T) []schema.FailedJob {
	t.Helper()
	failed, err := p.q.FailedJobs(t.Context(), 100)
	if err != nil {
		t.Fatal(err)
	}
	return failed
}

func lead11(w http.ResponseWriter) {
	_, _ = w.Write([]byte(`{"id":"11","field_data":[{"name":"email","values":["olga@example.com"]}]}`))
}

func TestWhateverMetaAnswersAFetchEndsWhereItBelongs(t *testing.T) {
	fetchDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		says := func(status int, body string, headers ...string) string {
			return listen(t, func(_ string, w http.ResponseWriter, _ *http.Request) {
				for i := 0; i < len(headers); i += 2 {
					w.Header().Set(headers[i], headers[i+1])
				}
				w.WriteHeader(status)
				_, _ = w.Write([]byte(body))
			}).URL
		}
		failure := func(code int) string {
			return fmt.Sprintf(`{"error":{"message":"about olga@example.com","code":%d}}`, code)
		}
		p := newPage(t, db, "", true)
		type row struct {
			url, state, reason string
			flag               bool
		}
		rows := map[string]row{
			"11": {says(200, `{"id":"11","field_data":[]}`), schema.FetchDone, "", false},
			"12": {says(400, failure(190)), schema.FetchParked, "leadmill hook rotate meta", true},
			"13": {says(403, failure(10)), schema.FetchParked, "leads_retrieval", true},
			"14": {says(400, failure(100)), schema.FetchParked, "there is no such lead", false},
			"15": {says(404, "nothing"), schema.FetchParked, "--graph-url", false},
			"16": {says(400, failure(4)), schema.FetchOpen, "too many calls", false},
			"17": {says(500, failure(1)), schema.FetchOpen, "could not answer", false},
			"18": {says(200, "<html>"), schema.FetchOpen, "not a lead", false},
			"19": {says(200, `{"id":"19","a":"`+strings.Repeat("x", leadLimit)+`"}`), schema.FetchOpen, "too large", false},
			"20": {says(302, "", "Location", says(200, `{"id":"20"}`)), schema.FetchParked, "302", false},
			"21": {raw(t, func(c *net.TCPConn) { _ = c.SetLinger(0) }), schema.FetchOpen, "no answer from Meta", false},
		}
		for id, r := range rows {
			p.run(func(ctx context.Context, tx *dbctx.Tx) error {
				source, err := schema.EnsureSource(ctx, tx, "ads"+id, p.q.now())
				if err != nil {
					return err
				}
				p.source = source
				return schema.InsertHook(ctx, tx, schema.Hook{SourceID: source.ID, Kind: hook.Meta, AccessToken: pageToken, GraphURL: r.url, AllowPrivate: true}, p.q.now())
			})
			p.tell(id)
		}
		p.start(p.q)
		for id, r := range rows {
			await(t, p.settled(id))
			f, h := p.fetch(id)
			if f.State != r.state || !strings.Contains(f.Reason, r.reason) || (f.Reason == "") != (r.reason == "") || (h.Problem != "") != r.flag || (f.IntakeID != 0) != (r.state == schema.FetchDone) {
				t.Errorf("%s: %+v, flagged %q; want %s for %q, flagged %v", id, f, h.Problem, r.state, r.reason, r.flag)
			}
		}
		parked := 0
		await(t, func() bool {
			parked = 0
			for _, j := range p.failed(t) {
				if j.State == "discarded" && j.Attempt == 1 {
					parked++
				}
			}
			return parked == 5
		})
		for _, j := range p.failed(t) {
			if strings.Contains(j.Error, "olga") || strings.Contains(j.Error, pageToken) || j.Kind != "fetch_meta_lead" {
				t.Errorf("failed job %+v", j)
			}
		}
	})
}

func TestAParkedFetchIsFetchedWhenItsJobIsRetried(t *testing.T) {
	fetchDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		g := listen(t, func(_ string, w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") == "Bearer "+pageToken {
				w.WriteHeader(400)
				_, _ = w.Write([]byte(`{"error":{"code":190}}`))
				return
			}
			lead11(w)
		})
		p := newPage(t, db, g.URL, true)
		p.tell("11")
		p.start(p.q)
		await(t, func() bool { return len(p.failed(t)) == 1 })
		f, h := p.fetch("11")
		if f.State != schema.FetchParked || h.Problem == "" {
			t.Fatalf("fetch = %+v, flagged %q; want it parked and the hook flagged", f, h.Problem)
		}
		h.AccessToken = "new"
		p.run(func(ctx context.Context, tx *dbctx.Tx) error { return schema.RotateHook(ctx, tx, h, nil) })
		if err := p.q.RetryJob(t.Context(), p.failed(t)[0].ID); err != nil {
			t.Fatal(err)
		}
		await(t, func() bool { f, _ = p.fetch("11"); return f.State == schema.FetchDone })
		p.tell("11")
		if _, h = p.fetch("11"); h.Problem != "" || f.IntakeID == 0 || p.count(`SELECT count(*) FROM intakes`) != 1 {
			t.Errorf("problem %q, intake %d, want one intake and the hook well", h.Problem, f.IntakeID)
		}
	})
}

func TestAFetchIsTriedAgainWhenMetaAsksForItAndNotForever(t *testing.T) {
	fetchDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		g := listen(t, func(_ string, w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "3600")
			w.WriteHeader(429)
		})
		p := newPage(t, db, g.URL, true)
		p.tell("11")
		began := time.Now()
		p.start(p.q)
		await(t, p.settled("11"))
		var next time.Time
		await(t, func() bool {
			return p.count(`SELECT count(*) FROM river_job WHERE kind = 'fetch_meta_lead' AND CAST(state AS text) = 'scheduled'`) == 1
		})
		p.run(func(ctx context.Context, tx *dbctx.Tx) error {
			return tx.QueryRow(ctx, `SELECT scheduled_at FROM river_job WHERE kind = 'fetch_meta_lead'`).Scan(&next)
		})
		if wait := next.Sub(began); wait < time.Hour-time.Minute || wait > 2*time.Hour {
			t.Errorf("it is tried again in %s, want the hour that was asked for", wait)
		}
		f, _ := p.fetch("11")
		f.Tries = len(deliverySchedule)
		p.run(func(_ context.Context, tx *dbctx.Tx) error { schema.SettleFetch(tx, f, p.q.now()); return nil })
		last := fetching{fetch: f, tries: f.Tries, means: hook.JudgeGraph(429, nil)}
		if wait := fetchAgain(last, p.q.now()); wait != 0 {
			t.Errorf("behind the last try it waits %s, want 0", wait)
		}
		err := p.settle(last, 0)
		if f, _ = p.fetch("11"); err == nil || f.State != schema.FetchParked || !strings.Contains(f.Reason, "in 10 tries") {
			t.Errorf("fetch = %+v, %v; want it parked behind ten tries", f, err)
		}
	})
}

func TestAPrivateAddressOrARemovedHookIsNotCalled(t *testing.T) {
	fetchDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		g := listen(t, func(_ string, w http.ResponseWriter, _ *http.Request) { lead11(w) })
		p := newPage(t, db, g.URL, false)
		p.tell("11")
		p.start(p.q)
		await(t, p.settled("11"))
		if f, _ := p.fetch("11"); f.State != schema.FetchParked || !strings.Contains(f.Reason, "--allow-private") {
			t.Errorf("fetch = %+v, want it parked with the cure", f)
		}
		p.run(func(ctx context.Context, tx *dbctx.Tx) error { return schema.RemoveHook(ctx, tx, hook.Meta, "ads") })
		p.tell("12")
		await(t, p.settled("12"))
		if f, _ := p.fetch("12"); f.State != schema.FetchParked || !strings.Contains(f.Reason, "hook add meta") {
			t.Errorf("fetch = %+v, want it parked with the cure", f)
		}
		if n := len(g.got()); n != 0 {
			t.Errorf("%d calls were made, want none", n)
		}
	})
}

func TestAFetchThatAStopCutsOffGoesOnElsewhere(t *testing.T) {
	fetchDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		called := make(chan struct{}, 1)
		var calls atomic.Int64
		g := listen(t, func(_ string, w http.ResponseWriter, r *http.Request) {
			if calls.Add(1) == 1 {
				called <- struct{}{}
				<-r.Context().Done() // the first caller goes before it is answered
				return
			}
			lead11(w)
		})
		p := newPage(t, db, g.URL, true)
		p.tell("11")
		first := p.process()
		if err := first.Start(context.Background()); err != nil {
			t.Fatal(err)
		}
		<-called
		now, cancel := context.WithCancel(context.Background())
		cancel()
		if err := first.Stop(now); !errors.Is(err, context.Canceled) {
			t.Fatalf("stop at once = %v", err)
		}
		if f, _ := p.fetch("11"); f.State != schema.FetchOpen || f.Tries != 0 {
			t.Errorf("fetch = %+v, want it open and no try lost", f)
		}
		p.start(p.q)
		await(t, func() bool { f, _ := p.fetch("11"); return f.State == schema.FetchDone })
		if n := p.count(`SELECT count(*) FROM intakes`); n != 1 || calls.Load() != 2 {
			t.Errorf("%d intakes after %d calls, want 1 after 2", n, calls.Load())
		}
	})
}

// settle settles a fetch in a scope of its own.
func (p *page) settle(f fetching, wait time.Duration) error {
	return dbctx.Run(p.t.Context(), p.db, func(ctx context.Context, tx *dbctx.Tx) error {
		return settleFetch(ctx, &Scope{Tx: tx, Now: p.q.now(), Job: Job{ID: 1}, q: p.q}, f, wait)
	})
}

// A worker that stalls in its call and wakes up late finds that another has been there.
func TestWhoIsOvertakenInAFetchChangesNothingButBringsALead(t *testing.T) {
	fetchDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		p := newPage(t, db, "http://127.0.0.1:1", true)
		p.tell("11")
		f, h := p.fetch("11")
		body := []byte(`{"id":"11","field_data":[{"name":"email","values":["olga@example.com"]}]}`)
		lead := fetching{fetch: f, hook: h, lead: body, means: hook.JudgeGraph(200, body)}
		none := fetching{fetch: f, hook: h, means: hook.JudgeGraph(400, []byte(`{"error":{"code":100}}`))}
		away := fetching{fetch: f, hook: h, means: hook.JudgeGraph(500, nil)}
		expired := fetching{fetch: f, hook: h, means: hook.JudgeGraph(400, []byte(`{"error":{"code":190}}`))}
		var given *hopeless
		if err := p.settle(none, 0); !errors.As(err, &given) {
			t.Errorf("who finds nothing: %v, want the job given up", err)
		}
		for name, late := range map[string]fetching{"away": away, "expired": expired} {
			var later again
			if err := p.settle(late, time.Second); !errors.As(err, &later) {
				t.Errorf("%s behind it: %v, want that it comes again", name, err)
			}
		}
		if f, h := p.fetch("11"); f.State != schema.FetchParked || f.Tries != 1 || f.Reason != none.means.Reason || h.Problem != "" {
			t.Errorf("fetch = %+v, flagged %q; want it as the first left it", f, h.Problem)
		}
		for _, late := range []fetching{lead, lead, expired} {
			if err := p.settle(late, 0); err != nil {
				t.Error(err)
			}
		}
		f, h = p.fetch("11")
		if f.State != schema.FetchDone || f.IntakeID == 0 || h.Problem != "" || p.count(`SELECT count(*) FROM intakes`) != 1 ||
			p.count(`SELECT count(*) FROM river_job WHERE kind = 'process_leads'`) != 1 {
			t.Errorf("fetch = %+v, flagged %q; want one intake with its job", f, h.Problem)
		}
	})
}
