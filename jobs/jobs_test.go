package jobs_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/dbctx/dbctxtest"
	"github.com/leadmill/leadmill/jobs"
	"github.com/leadmill/leadmill/lead"
	"github.com/leadmill/leadmill/schema"
)

var databases = dbctxtest.New("jobs", jobs.Migrate)

func TestMain(m *testing.M) { dbctxtest.Main(m) }

// at is the fixed clock of the tests, in whole microseconds.
var at = time.Date(2026, 3, 2, 9, 30, 0, 0, time.UTC)

// shop is a migrated database, a queue on it and a source.
type shop struct {
	t      *testing.T
	ctx    context.Context
	db     *dbctx.DB
	q      *jobs.Queue
	source schema.Source
}

func newShop(t *testing.T, db *dbctx.DB, o jobs.Options) *shop {
	t.Helper()
	s := &shop{t: t, ctx: t.Context(), db: db}
	q, err := jobs.Open(s.ctx, db, o)
	if err != nil {
		t.Fatal(err)
	}
	s.q = q
	t.Cleanup(q.Close)
	s.run(func(ctx context.Context, tx *dbctx.Tx) (err error) {
		s.source, err = schema.EnsureSource(ctx, tx, "form", at)
		return err
	})
	return s
}

// start works the jobs until the test ends.
func (s *shop) start() {
	s.t.Helper()
	if err := s.q.Start(s.ctx); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		if err := s.q.Stop(context.Background()); err != nil {
			s.t.Error(err)
		}
	})
}

func (s *shop) run(fn func(context.Context, *dbctx.Tx) error) {
	s.t.Helper()
	if err := dbctx.Run(s.ctx, s.db, fn); err != nil {
		s.t.Fatal(err)
	}
}

// take sends one submission in and returns its intake.
func (s *shop) take(payload string) (id int64) {
	s.t.Helper()
	s.run(func(ctx context.Context, tx *dbctx.Tx) (err error) {
		id, _, err = s.q.Take(ctx, tx, schema.NewIntake{SourceID: s.source.ID, Hash: payload, Payload: payload})
		return err
	})
	return id
}

func (s *shop) intake(id int64) (in schema.Intake) {
	s.t.Helper()
	s.run(func(ctx context.Context, tx *dbctx.Tx) (err error) {
		in, err = schema.GetIntake(ctx, tx, id)
		return err
	})
	return in
}

func (s *shop) lead(id int64) (l schema.Lead) {
	s.t.Helper()
	s.run(func(ctx context.Context, tx *dbctx.Tx) (err error) {
		l, err = schema.GetLead(ctx, tx, id)
		return err
	})
	return l
}

// kinds tells a lead's story as the kinds of its events.
func (s *shop) kinds(leadID int64) string {
	s.t.Helper()
	var kinds []string
	s.run(func(ctx context.Context, tx *dbctx.Tx) error {
		events, err := schema.LeadEvents(ctx, tx, leadID)
		for _, e := range events {
			kinds = append(kinds, e.Kind)
		}
		return err
	})
	return strings.Join(kinds, " ")
}

func (s *shop) deliveries(leadID int64) (list []schema.Delivery) {
	s.t.Helper()
	s.run(func(ctx context.Context, tx *dbctx.Tx) (err error) {
		list, err = schema.LeadDeliveries(ctx, tx, leadID)
		return err
	})
	return list
}

// until polls for what the workers bring about.
func (s *shop) until(what string, is func() bool) {
	s.t.Helper()
	deadline := time.NewTimer(5 * time.Minute) // only a hang takes that long
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-deadline.C:
			s.t.Fatalf("%s did not come about", what)
		}
	}
}

func (s *shop) untilIdle() {
	s.t.Helper()
	s.until("an idle queue", func() bool {
		idle, err := s.q.Idle(s.ctx)
		if err != nil {
			s.t.Fatal(err)
		}
		return idle
	})
}

func (s *shop) users(weights ...int) {
	s.run(func(ctx context.Context, tx *dbctx.Tx) error {
		for i, w := range weights {
			_, err := schema.InsertUser(ctx, tx, schema.User{Email: fmt.Sprintf("u%d@example.com", i+1), Role: "viewer", Weight: w}, at)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *shop) destination(url string) (d schema.Destination) {
	s.t.Helper()
	s.run(func(ctx context.Context, tx *dbctx.Tx) (err error) {
		d, err = schema.InsertDestination(ctx, tx, schema.Destination{
			Name: "crm", URL: url, Secret: "whsec_c2VjcmV0IG9mIHRoZSB0ZXN0cw==", AllowPrivate: true,
		}, at)
		return err
	})
	return d
}

func TestASubmissionBecomesALead(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		s := newShop(t, db, jobs.Options{})
		s.users(1)
		s.start()
		id := s.take(`{"email":" Ada@Example.com ","name":"ada lovelace","phone":"020 7946 0123","country":"UK","shoe":38}`)
		s.untilIdle()

		in := s.intake(id)
		if in.Status != lead.Accepted || in.LeadID != id || in.DoneAt == nil {
			t.Fatalf("intake = %s, lead %d, done %v; want accepted, founding lead %d", in.Status, in.LeadID, in.DoneAt, id)
		}
		l := s.lead(in.LeadID)
		if got, want := l.Value("email"), "ada@example.com"; got != want {
			t.Errorf("email = %q, want %q", got, want)
		}
		if got, want := l.Fields["email"].Source, "form"; got != want {
			t.Errorf("source of the email = %q, want %q", got, want)
		}
		if l.State != schema.StateOwned || l.Owner != "u1@example.com" || l.OwnerReason == "" {
			t.Errorf("state %q, owner %q because %q; want it owned by u1 with a reason", l.State, l.Owner, l.OwnerReason)
		}
		sum := 0
		for _, p := range l.Parts {
			sum += p.Points
		}
		if sum != l.Score || len(l.Parts) == 0 {
			t.Errorf("score = %d, its parts add up to %d", l.Score, sum)
		}
		if got, want := fmt.Sprint(l.Extra["shoe"]), "38"; got != want {
			t.Errorf("extra shoe = %s, want %s", got, want)
		}
		if got, want := s.kinds(l.ID), "received scored assigned"; got != want {
			t.Errorf("events = %q, want %q", got, want)
		}
	})
}

func TestARepeatIsAbsorbedAndOwnsNothingNew(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		s := newShop(t, db, jobs.Options{})
		s.users(1, 1)
		s.start()
		first := s.take(`{"email":"ada@example.com","name":"Ada Lovelace"}`)
		s.untilIdle()
		owner := s.lead(first).Owner
		second := s.take(`{"email":"ADA+news@example.com","company":"Analytical Engines","name":"Countess"}`)
		s.untilIdle()

		in := s.intake(second)
		if in.Status != lead.Duplicate || in.LeadID != first {
			t.Fatalf("second intake = %s of lead %d, want duplicate of %d", in.Status, in.LeadID, first)
		}
		l := s.lead(first)
		if l.Value("company") != "Analytical Engines" || l.Value("name") != "Ada Lovelace" {
			t.Errorf("company %q, name %q; want the empty one filled and the other kept", l.Value("company"), l.Value("name"))
		}
		if l.Submissions != 2 || l.Owner != owner {
			t.Errorf("submissions = %d, owner %q; want 2 and still %q", l.Submissions, l.Owner, owner)
		}
	})
}

func TestWhatCannotBeAcceptedIsKeptWithReasons(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		s := newShop(t, db, jobs.Options{})
		s.start()
		noAt := s.take(`{"email":"ada.example.com"}`)
		nothing := s.take(`{"name":"Ada"}`)
		spam := s.take(`{"email":"x@example.com","name":"http://example.net/win"}`)
		s.untilIdle()
		for id, want := range map[int64]lead.Verdict{noAt: lead.Rejected, nothing: lead.Rejected, spam: lead.Quarantined} {
			in := s.intake(id)
			if in.Status != want || len(in.Reasons) == 0 || in.LeadID != 0 {
				t.Errorf("intake %s = %s of lead %d for %v, want %s with a reason and no lead", in.Payload, in.Status, in.LeadID, in.Reasons, want)
			}
		}
		s.run(func(ctx context.Context, tx *dbctx.Tx) error { return s.q.ReleaseIntake(ctx, tx, spam) })
		s.untilIdle()
		if in := s.intake(spam); in.Status != lead.Accepted || in.LeadID != spam {
			t.Errorf("released intake = %s of lead %d, want accepted", in.Status, in.LeadID)
		}
	})
}

func TestALeadWithoutUsersWaitsForOne(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		s := newShop(t, db, jobs.Options{})
		s.start()
		id := s.take(`{"email":"ada@example.com"}`)
		s.untilIdle()
		if l := s.lead(id); l.State != schema.StateUnowned || l.OwnerReason == "" {
			t.Errorf("state %q because %q, want unowned with a reason", l.State, l.OwnerReason)
		}
		s.users(1)
		s.take(`{"email":"ada@example.com"}`)
		s.untilIdle()
		if l := s.lead(id); l.State != schema.StateOwned {
			t.Errorf("after its next submission the state is %q, want owned", l.State)
		}
	})
}

func TestWhoJoinsGetsTheLeadsThatWaited(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		s := newShop(t, db, jobs.Options{})
		r := newReceiver(t, func(int, http.ResponseWriter) {})
		s.destination(r.URL)
		s.start()
		var ids []int64
		for i := range 4 {
			ids = append(ids, s.take(fmt.Sprintf(`{"email":"a%d@example.com"}`, i)))
		}
		route := func() {
			s.run(func(ctx context.Context, tx *dbctx.Tx) error { return s.q.Enqueue(ctx, tx, jobs.RouteLeads{}) })
			s.until("idle deliveries", func() bool { return r.calls() >= 4 })
			s.untilIdle()
		}
		route()
		if l := s.lead(ids[0]); l.State != schema.StateUnowned {
			t.Errorf("without users the state is %q, want unowned", l.State)
		}
		s.users(3, 1)
		route()
		route()
		if got, want := fmt.Sprint(s.owned()), "map[u1@example.com:3 u2@example.com:1]"; got != want {
			t.Errorf("owners = %s, want %s", got, want)
		}
		s.until("the news of the owner", func() bool { return r.calls() == 8 })
		if got, want := s.kinds(ids[0]), "received scored unassigned delivery_planned delivered assigned delivery_planned delivered"; got != want {
			t.Errorf("events = %q, want %q", got, want)
		}
	})
}

// A worker that is frozen between its turn and its commit would otherwise hold up every lead of the fleet.
func TestNobodyWaitsForAWorkerThatStopsWhileItGivesOutLeads(t *testing.T) {
	s := newShop(t, databases.Open(t, dbctx.Postgres), jobs.Options{})
	s.users(1, 1)
	s.start()
	s.run(func(ctx context.Context, frozen *dbctx.Tx) error {
		if _, err := schema.Members(ctx, frozen); err != nil {
			return err
		}
		if turns, err := schema.DrawTurns(ctx, frozen, 1); err != nil || turns[0] != 0 {
			t.Errorf("turns = %v, %v, want the first", turns, err)
		}
		var taking sync.WaitGroup
		defer taking.Wait()
		taking.Go(func() { s.take(`{"email":"ada@example.com"}`) })
		s.until("the owner of a lead that came meanwhile", func() bool { return fmt.Sprint(s.owned()) == "map[u2@example.com:1]" })
		return nil
	})
}

func TestParallelSubmissionsOfOnePersonAreOneLead(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		s := newShop(t, db, jobs.Options{})
		s.users(1)
		s.start()
		var wg sync.WaitGroup
		for i := range 30 {
			payload := `{"email":"ada@example.com","name":"Ada Lovelace"}`
			if i%2 == 0 {
				payload = `{"phone":"+442079460123","email":"ada@example.com","name":"Ada Lovelace"}`
			}
			wg.Go(func() { s.take(payload) })
		}
		wg.Wait()
		s.untilIdle()
		s.run(func(ctx context.Context, tx *dbctx.Tx) error {
			leads, err := schema.ListLeads(ctx, tx, schema.LeadQuery{})
			if err == nil && (len(leads) != 1 || leads[0].Submissions != 30) {
				t.Errorf("leads = %+v, want one with 30 submissions", leads)
			}
			return err
		})
	})
}

func TestAnImportMakesEveryRowAnIntakeOnce(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		s := newShop(t, db, jobs.Options{})
		s.users(3, 1)
		s.start()
		var file strings.Builder
		file.WriteString("First Name,Last Name,Email\n")
		for i := range 1234 {
			fmt.Fprintf(&file, "Ada,Lovelace %d,ada%d@example.com\n", i, i%1200)
		}
		file.WriteString("No,Address,nowhere\n")
		for _, wantExisted := range []bool{false, true} {
			id, existed, err := s.q.TakeFile(s.ctx, "fair", "list.csv", strings.NewReader(file.String()))
			if err != nil || existed != wantExisted {
				t.Fatalf("TakeFile = existed %v, %v; want %v", existed, err, wantExisted)
			}
			s.until("the end of the import", func() bool { return s.importOf(id).State == schema.ImportDone })
			s.untilIdle()
			want := schema.Counts{Rows: 1235, Accepted: 1200, Duplicate: 34, Rejected: 1}
			if got := s.importOf(id).Counts; got != want {
				t.Errorf("counts = %+v, want %+v", got, want)
			}
		}
		if got, want := s.owned(), map[string]int{"u1@example.com": 900, "u2@example.com": 300}; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("owners = %v, want %v", got, want)
		}
	})
}

func (s *shop) importOf(id int64) (m schema.Import) {
	s.t.Helper()
	s.run(func(ctx context.Context, tx *dbctx.Tx) (err error) {
		m, err = schema.GetImport(ctx, tx, id)
		return err
	})
	return m
}

func (s *shop) owned() map[string]int {
	owned := map[string]int{}
	s.run(func(ctx context.Context, tx *dbctx.Tx) error {
		for before := int64(0); ; {
			page, err := schema.ListLeads(ctx, tx, schema.LeadQuery{Limit: 1000, Before: before})
			if err != nil || len(page) == 0 {
				return err
			}
			for _, l := range page {
				owned[l.Owner]++
			}
			before = page[len(page)-1].ID
		}
	})
	return owned
}

// receiver answers as it is told and keeps what it got.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	got    []*http.Request
	bodies []map[string]any
}

func newReceiver(t *testing.T, answer func(n int, w http.ResponseWriter)) *receiver {
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		var body map[string]any
		if err := json.NewDecoder(request.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		r.mu.Lock()
		r.got, r.bodies = append(r.got, request), append(r.bodies, body)
		n := len(r.got)
		r.mu.Unlock()
		answer(n, w)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) calls() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.got)
}

func TestADeliveryIsSignedAndDoneOnce(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		s := newShop(t, db, jobs.Options{})
		r := newReceiver(t, func(int, http.ResponseWriter) {})
		s.destination(r.URL)
		s.start()
		id := s.take(`{"email":"ada@example.com"}`)
		s.until("the delivery", func() bool {
			d := s.deliveries(id)
			return len(d) == 1 && d[0].State == schema.DeliveryDone
		})
		s.untilIdle()
		if r.calls() != 1 {
			t.Fatalf("the receiver was called %d times, want once", r.calls())
		}
		v := s.deliveries(id)[0]
		if got := r.got[0].Header.Get("Webhook-Id"); got != v.Key || got == "" {
			t.Errorf("webhook-id = %q, want the key %q", got, v.Key)
		}
		if got, want := r.bodies[0]["type"], "lead.created"; got != want {
			t.Errorf("type = %v, want %v", got, want)
		}
		if got, want := s.kinds(id), "received scored unassigned delivery_planned delivered"; got != want {
			t.Errorf("events = %q, want %q", got, want)
		}
	})
}

func TestARefusedDeliveryComesAgainUnderTheSameKey(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		s := newShop(t, db, jobs.Options{})
		r := newReceiver(t, func(n int, w http.ResponseWriter) {
			if n == 1 {
				w.Header().Set("Retry-After", "3600")
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		})
		s.destination(r.URL)
		s.start()
		id := s.take(`{"email":"ada@example.com"}`)
		s.until("the refusal", func() bool {
			d := s.deliveries(id)
			return len(d) == 1 && d[0].State == schema.DeliveryRetrying
		})
		v := s.deliveries(id)[0]
		if wait := time.Until(*v.NextAt); wait < 59*time.Minute || v.LastStatus != 503 {
			t.Errorf("next call in %s after %d, want an hour after 503", wait, v.LastStatus)
		}
		s.run(func(ctx context.Context, tx *dbctx.Tx) error { return s.q.RetryDelivery(ctx, tx, v.ID) })
		s.until("the delivery", func() bool { return s.deliveries(id)[0].State == schema.DeliveryDone })
		if a, b := r.got[0].Header.Get("Webhook-Id"), r.got[1].Header.Get("Webhook-Id"); a != b {
			t.Errorf("keys of the two tries are %q and %q, want one", a, b)
		}
	})
}

func TestGoneStopsTheDestination(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		s := newShop(t, db, jobs.Options{})
		r := newReceiver(t, func(_ int, w http.ResponseWriter) { w.WriteHeader(http.StatusGone) })
		d := s.destination(r.URL)
		s.start()
		parked := func(id int64) func() bool {
			return func() bool {
				list := s.deliveries(id)
				return len(list) == 1 && list[0].State == schema.DeliveryGivenUp
			}
		}
		first := s.take(`{"email":"ada@example.com"}`)
		s.until("the parking of the first", parked(first))
		second := s.take(`{"email":"bob@example.com"}`)
		s.until("the parking of the second", parked(second))
		if r.calls() != 1 {
			t.Errorf("the receiver was called %d times, want once", r.calls())
		}
		s.run(func(ctx context.Context, tx *dbctx.Tx) error {
			got, err := schema.GetDestination(ctx, tx, d.ID)
			if err == nil && (got.Active || got.StoppedReason == "") {
				t.Errorf("destination active %v because %q, want it stopped with a reason", got.Active, got.StoppedReason)
			}
			return err
		})
	})
}

func TestAPrivateAddressIsRefused(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		s := newShop(t, db, jobs.Options{})
		r := newReceiver(t, func(int, http.ResponseWriter) {})
		s.run(func(ctx context.Context, tx *dbctx.Tx) error {
			_, err := schema.InsertDestination(ctx, tx, schema.Destination{Name: "inside", URL: r.URL, Secret: "whsec_c2VjcmV0"}, at)
			return err
		})
		s.start()
		id := s.take(`{"email":"ada@example.com"}`)
		s.until("the refusal", func() bool {
			list := s.deliveries(id)
			return len(list) == 1 && list[0].State == schema.DeliveryRetrying
		})
		if got := s.deliveries(id)[0].LastAnswer; !strings.Contains(got, "private") || r.calls() != 0 {
			t.Errorf("answer %q after %d calls, want a refusal and no call", got, r.calls())
		}
	})
}

func TestACronTickRunsOnce(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		now := at
		var mu sync.Mutex
		clock := func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
		s := newShop(t, db, jobs.Options{Now: clock})
		s.start()
		s.untilIdle()
		mu.Lock()
		now = at.Add(24 * time.Hour)
		mu.Unlock()
		s.run(func(ctx context.Context, tx *dbctx.Tx) error {
			return s.q.Enqueue(ctx, tx, jobs.CronTick{}, jobs.CronTick{}, jobs.CronTick{})
		})
		line := func() (l schema.Schedule) {
			s.run(func(ctx context.Context, tx *dbctx.Tx) error {
				all, err := schema.ListSchedules(ctx, tx)
				l = all[0]
				return err
			})
			return l
		}
		s.until("the tick", func() bool { return line().LastAt != nil })
		want := time.Date(2026, 3, 3, 3, 17, 0, 0, time.UTC)
		if got := *line().LastAt; !got.Equal(want) {
			t.Errorf("last run = %s, want %s", got, want)
		}
		if got, want := *line().NextAt, want.Add(24*time.Hour); !got.Equal(want) {
			t.Errorf("next run = %s, want %s", got, want)
		}
		s.until("the purge", func() bool { return s.finished("purge") == 1 })
	})
}

// finished counts completed jobs of a kind, in River's own table.
func (s *shop) finished(kind string) (n int) {
	s.run(func(ctx context.Context, tx *dbctx.Tx) error {
		return tx.QueryRow(ctx, `SELECT count(*) FROM river_job WHERE kind = $1 AND state = 'completed'`, kind).Scan(&n)
	})
	return n
}

func TestAJobThatRunsAgainChangesNothing(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		s := newShop(t, db, jobs.Options{})
		s.start()
		id := s.take(`{"email":"ada@example.com"}`)
		s.untilIdle()
		before := s.kinds(id)
		s.until("the completed job", func() bool { return s.finished("process_leads") == 1 })
		var job int64
		s.run(func(ctx context.Context, tx *dbctx.Tx) error {
			return tx.QueryRow(ctx, `SELECT id FROM river_job WHERE kind = 'process_leads'`).Scan(&job)
		})
		// As after a crash between the commit and the completion: the intake looks unfinished, the job is there again.
		s.run(func(ctx context.Context, tx *dbctx.Tx) error {
			if _, err := tx.Exec(ctx, `UPDATE intakes SET status = 'pending' WHERE id = $1`, id); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, `UPDATE river_job SET state = 'available', finalized_at = NULL WHERE id = $1`, job)
			return err
		})
		s.untilIdle()
		if got := s.kinds(id); got != before {
			t.Errorf("events after the second run = %q, want %q", got, before)
		}
	})
}

func TestAFailedJobIsShownAndRetried(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		s := newShop(t, db, jobs.Options{})
		s.run(func(ctx context.Context, tx *dbctx.Tx) error {
			_, err := tx.Exec(ctx, `ALTER TABLE lead_keys RENAME TO lead_keys_away`)
			return err
		})
		s.start()
		id := s.take(`{"email":"ada@example.com"}`)
		var failed []schema.FailedJob
		s.until("the failure", func() bool {
			var err error
			if failed, err = s.q.FailedJobs(s.ctx, 10); err != nil {
				t.Fatal(err)
			}
			return len(failed) == 1
		})
		if failed[0].Kind != "process_leads" || failed[0].Error == "" || strings.Contains(failed[0].Error, "ada@") {
			t.Errorf("failed job = %+v, want process_leads with an error without personal data", failed[0])
		}
		s.run(func(ctx context.Context, tx *dbctx.Tx) error {
			_, err := tx.Exec(ctx, `ALTER TABLE lead_keys_away RENAME TO lead_keys`)
			return err
		})
		if err := s.q.RetryJob(s.ctx, failed[0].ID); err != nil {
			t.Fatal(err)
		}
		s.until("the lead", func() bool { return s.intake(id).Status == lead.Accepted })
	})
}

func TestAnUnknownJobIsNotFound(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		s := newShop(t, db, jobs.Options{})
		err := s.q.RetryJob(s.ctx, 999)
		if got, want := fmt.Sprint(err), "failed job 999: not found"; got != want {
			t.Errorf("error = %q, want %q", got, want)
		}
	})
}
