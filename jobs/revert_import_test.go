package jobs_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/jobs"
	"github.com/leadmill/leadmill/lead"
	"github.com/leadmill/leadmill/schema"
)

func (s *shop) revert(id int64) bool {
	s.t.Helper()
	return s.try(func(ctx context.Context, tx *dbctx.Tx) error { return s.q.RevertImport(ctx, tx, id) })
}

func (s *shop) kept(id int64) map[int64]string {
	s.t.Helper()
	kept := map[int64]string{}
	s.run(func(ctx context.Context, tx *dbctx.Tx) error {
		list, err := schema.ImportKept(ctx, tx, id, 0, 1000)
		for _, k := range list {
			kept[k.LeadID] = k.Reason
		}
		return err
	})
	return kept
}

// leadOf is who has an e-mail address; 0 nobody.
func (s *shop) leadOf(email string) int64 {
	s.t.Helper()
	return s.number(`SELECT coalesce(max(id), 0) FROM leads WHERE email = $1`, email)
}

func TestARevertRemovesWhatNobodyHasTouchedAndNamesTheRest(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		s := newShop(t, db, jobs.Options{})
		s.users(1)
		s.start()
		known := s.take(`{"email":"known@example.com","name":"Known"}`)
		s.untilIdle()
		file := "Email,Name,Phone\nfree@example.com,Free,\nshared@example.com,Shared,\nchanged@example.com,Changed,\n" +
			"known@example.com,Known,\nfree@example.com,,+44 20 7946 0123\nnobody,,\n"
		id, _, err := s.q.TakeFile(s.ctx, "fair", "list.csv", strings.NewReader(file))
		if err != nil {
			t.Fatal(err)
		}
		s.untilSettled(id)
		s.untilIdle()
		free, shared, changed := s.leadOf("free@example.com"), s.leadOf("shared@example.com"), s.leadOf("changed@example.com")
		s.take(`{"email":"shared@example.com","company":"Umbra"}`)
		s.run(func(ctx context.Context, tx *dbctx.Tx) error {
			schema.AddEvents(tx, "user/7", at, schema.NewEvent{LeadID: changed, Kind: "noted", Data: map[string]any{}})
			return nil
		})
		s.untilIdle()
		if !s.revert(id) || s.revert(id) {
			t.Error("want an import to be undone once")
		}
		s.until("the end of the revert", func() bool { return s.importOf(id).State == schema.ImportReverted })
		want := map[int64]string{shared: schema.KeptShared, changed: schema.KeptChanged, known: schema.KeptTheirs}
		if diff := cmp.Diff(want, s.kept(id)); diff != "" {
			t.Errorf("kept (-want +got):\n%s", diff)
		}
		if s.leadOf("free@example.com") != 0 || s.number(`SELECT count(*) FROM lead_keys WHERE lead_id = $1`, free) != 0 {
			t.Error("a lead that only the import knew of is still there, or its match keys are")
		}
		if got, want := s.kinds(free), "received absorbed scored assigned reverted"; got != want {
			t.Errorf("its story is %q, want %q: what happened stays", got, want)
		}
		if n := s.number(`SELECT count(*) FROM intakes WHERE import_id = $1 AND reverted_at IS NOT NULL`, id); n != 6 {
			t.Errorf("%d rows are marked, want all 6", n)
		}
		s.countsAreVerdicts(id)
		again, existed, err := s.q.TakeFile(s.ctx, "fair", "list.csv", strings.NewReader(file))
		if err != nil || existed {
			t.Fatalf("the same file after the revert: existed %v, %v", existed, err)
		}
		s.untilSettled(again)
		if got, want := s.importOf(again).Counts, (schema.Counts{Rows: 6, Accepted: 1, Duplicate: 4, Rejected: 1}); got != want {
			t.Errorf("the same file again = %+v, want %+v", got, want)
		}
	})
}

func TestARevertKeepsWhatADestinationWasToldOf(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		s := newShop(t, db, jobs.Options{Queues: []string{jobs.Live, jobs.Bulk, jobs.Files}})
		s.users(1)
		r := newReceiver(t, func(int, http.ResponseWriter) {})
		s.destination(r.URL)
		s.start()
		id, _, err := s.q.TakeFile(s.ctx, "fair", "list.csv", strings.NewReader("Email\ntold@example.com\nuntold@example.com\n"))
		if err != nil {
			t.Fatal(err)
		}
		s.untilSettled(id)
		told, untold := s.leadOf("told@example.com"), s.leadOf("untold@example.com")
		s.run(func(ctx context.Context, tx *dbctx.Tx) error {
			tx.Queue(`UPDATE deliveries SET tries = 1, state = 'retrying', last_status = 503 WHERE lead_id = $1`, told)
			return nil
		})
		s.revert(id)
		s.until("the end of the revert", func() bool { return s.importOf(id).State == schema.ImportReverted })
		if diff := cmp.Diff(map[int64]string{told: schema.KeptDelivered}, s.kept(id)); diff != "" {
			t.Errorf("kept (-want +got):\n%s", diff)
		}
		s.work(jobs.Outbound, func() { s.untilIdle() })
		if len(s.deliveries(untold)) != 0 || s.number(`SELECT count(*) FROM river_job WHERE kind = 'deliver_lead' AND state NOT IN ('completed', 'scheduled', 'retryable')`) != 0 {
			t.Error("a delivery of a lead that is gone is still to be made")
		}
		for _, got := range r.leads() {
			if got == fmt.Sprint(untold) {
				t.Error("the destination was told of a lead that is gone")
			}
		}
	})
}

// leads are those that the receiver was told of.
func (r *receiver) leads() (ids []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, body := range r.bodies {
		if data, ok := body["data"].(map[string]any); ok {
			ids = append(ids, fmt.Sprint(data["id"]))
		}
	}
	return ids
}

func TestARevertThatIsCutOffGoesOnAndTwoAtOnceDoNoHarm(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		s := newShop(t, db, jobs.Options{Queues: []string{jobs.Live, jobs.Bulk}})
		s.users(1)
		s.start()
		const rows = 3_210
		id := s.hold("list.csv", people(rows))
		s.begin(id)
		for s.importOf(id).Rows < rows {
			if err := s.q.ReadFile(s.ctx, id); err != nil {
				t.Fatal(err)
			}
		}
		// The revert begins while rows still wait for their verdicts, and others send something to the same people.
		var senders sync.WaitGroup
		var others []int64
		senders.Go(func() {
			for i := range 40 {
				others = append(others, s.take(fmt.Sprintf(`{"email":"p%d@example.com","company":"Umbra"}`, 1+i*80)))
			}
		})
		s.revert(id)
		for s.importOf(id).State != schema.ImportReverted {
			ctx, cancel := context.WithTimeout(s.ctx, 20*time.Millisecond+rand.N(200*time.Millisecond))
			var wg sync.WaitGroup
			for range 2 {
				wg.Go(func() { _ = s.q.UndoImport(ctx, id) }) // cut off: what it says does not matter
			}
			wg.Wait()
			cancel()
		}
		senders.Wait()
		s.until("verdicts on what others sent", func() bool { return s.number(`SELECT count(*) FROM intakes WHERE status = 'pending'`) == 0 })
		s.countsAreVerdicts(id)
		if n := s.number(`SELECT count(*) FROM lead_keys k LEFT JOIN leads l ON l.id = k.lead_id WHERE l.id IS NULL`); n != 0 {
			t.Errorf("%d match keys point to leads that are gone", n)
		}
		for _, other := range others {
			in := s.intake(other)
			if in.Status != lead.Accepted && in.Status != lead.Duplicate || s.number(`SELECT count(*) FROM leads WHERE id = $1`, in.LeadID) != 1 {
				t.Errorf("what others sent is %s of lead %d, which is not there", in.Status, in.LeadID)
			}
		}
		kept := int64(len(s.kept(id)))
		if n := s.number(`SELECT count(*) FROM leads`); n != 40 || kept > 40 {
			t.Errorf("%d leads are left and %d named, want the 40 that others know", n, kept)
		}
		if n := s.number(`SELECT count(*) FROM events WHERE kind = 'reverted' GROUP BY lead_id HAVING count(*) > 1
			UNION ALL SELECT 0 ORDER BY 1 DESC LIMIT 1`); n != 0 {
			t.Errorf("a lead was removed %d times", n)
		}
	})
}
