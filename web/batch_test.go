package web

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/jobs"
	"github.com/leadmill/leadmill/schema"
)

func (c *counter) batch(body string, headers ...string) reply {
	c.t.Helper()
	return c.do("POST", "/api/v1/leads/batch", c.key, body, headers...)
}

// payloads of the intakes that are stored, oldest first.
func (c *counter) payloads() (all []string) {
	c.t.Helper()
	for _, in := range c.intakes() {
		all = append(all, in.Payload)
	}
	return all
}

// intakes that are stored, oldest first.
func (c *counter) intakes() (all []schema.Intake) {
	c.t.Helper()
	c.run(func(ctx context.Context, tx *dbctx.Tx) error {
		list, err := schema.ListIntakes(ctx, tx, schema.IntakeFilter{Limit: 1000})
		for i := range list {
			all = append(all, list[len(list)-1-i])
		}
		return err
	})
	return all
}

func manyItems(n int) string {
	items := make([]string, n)
	for i := range items {
		items[i] = fmt.Sprintf(`{"email":"a%d@example.com"}`, i)
	}
	return "[" + strings.Join(items, ",") + "]"
}

func TestEachItemOfABatchHasItsVerdict(t *testing.T) {
	good, other := `{"email": "ada@example.com", "n": 1.0}`, `{"email":"bob@example.com"}`
	large := `{"email":"` + strings.Repeat("x", itemLimit) + `"}`
	for kind, body := range map[string]string{
		"application/json":     "[" + strings.Join([]string{good, `{"email":5}`, `{}`, `"x"`, large, other}, ",") + "]",
		"application/x-ndjson": strings.Join([]string{good, `{"email":5}`, ``, `{}`, `{"broken"`, large, other}, "\r\n"),
	} {
		apiDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
			c := newCounter(t, db)
			a := decodeReply[batchAnswer](t, c.batch(body, "Content-Type", kind), 202)
			var verdicts []string
			for n, i := range a.Items {
				verdict := i.Status
				for _, reason := range i.Reasons {
					verdict += " " + reason.Field + " " + reason.Code
				}
				verdicts = append(verdicts, verdict)
				if i.Index != n || (i.Status == "accepted") != (i.ID != "" && i.StatusURL == "/api/v1/intakes/"+i.ID) {
					t.Errorf("item %d = %+v", n, i)
				}
			}
			want := []string{"accepted", "refused email mistyped", "refused email missing", "refused  malformed", "refused  too_large", "accepted"}
			if diff := cmp.Diff(want, verdicts); diff != "" || a.Accepted != 2 || a.Refused != 4 {
				t.Errorf("%s: %d accepted, %d refused (-want +got):\n%s", kind, a.Accepted, a.Refused, diff)
			}
			if diff := cmp.Diff([]string{good, other}, c.payloads()); diff != "" {
				t.Errorf("%s: stored (-want +got):\n%s", kind, diff)
			}
			for i, in := range c.intakes() {
				if sent := a.Items[[]int{0, 5}[i]]; sent.ID != fmt.Sprint(in.ID) {
					t.Errorf("item %d has the id of another: %s, want %d", sent.Index, sent.ID, in.ID)
				}
			}
		})
	}
}

func TestABatchThatCannotBeReadChangesNothing(t *testing.T) {
	apiDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		c := newCounter(t, db)
		one := `{"email":"secret@example.com"}`
		for name, r := range map[string]struct {
			status int
			answer reply
		}{
			"no key":        {401, c.do("POST", "/api/v1/leads/batch", "", "["+one+"]")},
			"an object":     {400, c.batch(one)},
			"broken":        {400, c.batch("[" + one + ",{")},
			"no end":        {400, c.batch("[" + one)},
			"two arrays":    {400, c.batch("[" + one + "][]")},
			"not UTF-8":     {400, c.batch("[" + one + ",\"\xff\"]")},
			"nothing":       {400, c.batch(" ")},
			"empty":         {422, c.batch("[]")},
			"no line":       {422, c.batch("\n\n", "Content-Type", "application/x-ndjson")},
			"1,001":         {413, c.batch(manyItems(1001))},
			"1,001 lines":   {413, c.batch(strings.Repeat(one+"\n", 1001), "Content-Type", "application/x-ndjson")},
			"too large":     {413, c.batch("[" + strings.Repeat(" ", batchLimit) + one + "]")},
			"a form":        {415, c.batch("email=secret", "Content-Type", "application/x-www-form-urlencoded")},
			"key too long":  {400, c.batch("["+one+"]", "Idempotency-Key", strings.Repeat("k", 201))},
			"wrong method":  {405, c.do("DELETE", "/api/v1/leads/batch", c.key, "")},
			"from a page":   {403, c.batch("["+one+"]", "Origin", "https://shop.example", "Sec-Fetch-Site", "cross-site")},
			"wrong, opaque": {401, c.do("POST", "/api/v1/leads/batch", "lmk_wrong", strings.Repeat("x", batchLimit+1))},
		} {
			r.answer.problemOf(t, r.status)
			if strings.Contains(r.answer.body, "secret") {
				t.Errorf("%s: the answer repeats a value: %s", name, r.answer.body)
			}
		}
		if n := c.stored(); n != 0 {
			t.Errorf("%d rows are stored after refusals, want none", n)
		}
	})
}

func TestABatchUnderAKeyGetsTheSameAnswer(t *testing.T) {
	apiDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		c := newCounter(t, db)
		body := `[{"email":"ada@example.com"},{"email":5}]`
		first := c.batch(body, "Idempotency-Key", "night-17")
		again := c.batch(body, "Idempotency-Key", "night-17")
		if again.status != 202 || again.body != first.body || again.header.Get("Idempotency-Replayed") != "true" || first.header.Get("Idempotency-Replayed") != "" {
			t.Errorf("first %+v, again %+v; want the same answer, marked", first, again)
		}
		c.batch(`[{"email":"bob@example.com"}]`, "Idempotency-Key", "night-17").problemOf(t, 422)
		mine := c.do("POST", "/api/v1/leads/batch", c.other, body, "Idempotency-Key", "night-17")
		if mine.status != 202 || mine.body == first.body {
			t.Errorf("another source's key = %+v, want intakes of its own", mine)
		}
		if n := c.stored(); n != 4 {
			t.Errorf("%d rows are stored, want two intakes and their jobs", n)
		}
	})
}

func TestTenEqualBatchesAtOnceAreOne(t *testing.T) {
	apiDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		c := newCounter(t, db)
		var mu sync.Mutex
		bodies := map[string]int{}
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				r := c.batch(manyItems(30), "Idempotency-Key", "k")
				mu.Lock()
				defer mu.Unlock()
				bodies[fmt.Sprint(r.status, r.body)]++
			})
		}
		wg.Wait()
		if len(bodies) != 1 || c.stored() != 31 {
			t.Errorf("%d answers and %d rows, want one answer, 30 intakes, one job", len(bodies), c.stored())
		}
	})
}

func TestAFewPeopleAreServedLiveAndManyInBulk(t *testing.T) {
	apiDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		c := newCounter(t, db)
		decodeReply[batchAnswer](t, c.batch(manyItems(20)), 202)
		decodeReply[batchAnswer](t, c.batch(manyItems(1000)), 202)
		jobsOf := map[string][]int{}
		c.run(func(ctx context.Context, tx *dbctx.Tx) error {
			args := map[dbctx.Dialect]string{dbctx.Postgres: "args", dbctx.SQLite: "json(args)"}[db.Dialect()]
			rows, err := tx.Query(ctx, `SELECT queue, `+args+` FROM river_job ORDER BY id`)
			if err != nil {
				return err
			}
			defer rows.Close()
			for rows.Next() {
				var queue, args string
				var work jobs.ProcessLeads
				if err := rows.Scan(&queue, &args); err != nil {
					return err
				}
				if err := json.Unmarshal([]byte(args), &work); err != nil {
					return err
				}
				jobsOf[queue] = append(jobsOf[queue], len(work.IntakeIDs))
			}
			return rows.Err()
		})
		if diff := cmp.Diff(map[string][]int{"live": {20}, "bulk": {500, 500}}, jobsOf); diff != "" {
			t.Errorf("intakes of each job (-want +got):\n%s", diff)
		}
		c.work()
		if a := c.intakes(); a[0].Status == "pending" || a[len(a)-1].Status != "duplicate" && a[len(a)-1].Status != "accepted" {
			t.Errorf("verdicts %s and %s, want the queue to have worked both", a[0].Status, a[len(a)-1].Status)
		}
	})
}

func FuzzBatch(f *testing.F) {
	f.Add([]byte(`[{"email":"a@b.c"},5]`), true)
	f.Add([]byte("{\"a\":1}\n\n{"), false)
	f.Fuzz(func(t *testing.T, raw []byte, array bool) {
		cut := cutLines
		if array {
			cut = cutArray
		}
		items, err := cut(raw)
		if len(items) > mostItems || err == nil && array && !json.Valid(raw) {
			t.Errorf("%d items of %q, %v", len(items), raw, err)
		}
		for _, i := range items {
			if members, err := check(i); err == nil && len(members) == 0 {
				t.Errorf("%q has no members and is no error", i)
			}
		}
	})
}
