package faulttest

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // driver pgx
	_ "modernc.org/sqlite"             // driver sqlite
)

// Reckoning is the outcome.
type Reckoning struct {
	Acknowledged int
	Lost         int      // acknowledged, and not stored as it was sent, or without a verdict, or not delivered
	Twice        int      // leads, events, effects or deliveries that exist once too often
	Uncertain    int      // deliveries that wait for a person, where repeating is not safe
	Problems     []string // what is wrong, in words
}

// Books are what is compared.
type Books struct {
	URL      string // of the database, which nobody else uses any more
	Load     *Load
	Receiver *Receiver
	// Once are the paths of destinations that must not be called again after a call that may have been taken.
	Once []string
	// Parked are jobs that the fault leaves for a person.
	Parked int
}

// Open opens a database of leadmill's with plain drivers.
func Open(url string) (*sql.DB, error) {
	if path, ok := strings.CutPrefix(url, "sqlite:///"); ok {
		return sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(20000)&_time_format=sqlite")
	}
	return sql.Open("pgx", url)
}

// Reckon compares what was acknowledged and delivered with what the tables say.
func Reckon(ctx context.Context, b Books) (Reckoning, error) {
	db, err := Open(b.URL)
	if err != nil {
		return Reckoning{}, err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	r := &reckoner{Books: b, db: db, postgres: !strings.HasPrefix(b.URL, "sqlite:"), ctx: ctx, intakes: map[int64]intake{}}
	r.out.Problems = append(r.out.Problems, b.Load.problems()...)
	r.out.Problems = append(r.out.Problems, b.Receiver.problems...)
	for _, step := range []func() error{r.readIntakes, r.stored, r.people, r.stories, r.deliveries, r.queue, r.cron, r.leaks} {
		if err := step(); err != nil {
			return r.out, err
		}
	}
	r.out.Lost = len(r.lost)
	return r.out, nil
}

type reckoner struct {
	Books
	db       *sql.DB
	postgres bool
	ctx      context.Context
	out      Reckoning
	lost     map[string]bool // by Idempotency-Key
	intakes  map[int64]intake
	byLead   map[int64][]int64 // intakes
}

type intake struct {
	key, payload, status string
	lead                 int64
	done                 bool
}

func (r *reckoner) problem(format string, args ...any) {
	r.out.Problems = append(r.out.Problems, fmt.Sprintf(format, args...))
}

func (r *reckoner) lose(key, format string, args ...any) {
	if r.lost == nil {
		r.lost = map[string]bool{}
	}
	r.lost[key] = true
	r.problem("lost: "+format, args...)
}

func (r *reckoner) twice(n int, format string, args ...any) {
	r.out.Twice += n
	r.problem("twice: "+format, args...)
}

// each reads the rows of a query.
func (r *reckoner) each(query string, scan func(*sql.Rows) error, args ...any) error {
	rows, err := r.db.QueryContext(r.ctx, query, args...)
	if err != nil {
		return fmt.Errorf("%s: %w", query, err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return fmt.Errorf("%s: %w", query, err)
		}
	}
	return rows.Err()
}

func (r *reckoner) count(query string) (n int, err error) {
	err = r.each(query, func(rows *sql.Rows) error { return rows.Scan(&n) })
	return n, err
}

func (r *reckoner) readIntakes() error {
	r.byLead = map[int64][]int64{}
	return r.each(`SELECT id, coalesce(key, ''), payload, status, coalesce(lead_id, 0), done_at IS NOT NULL,
			reverted_at IS NOT NULL AND NOT EXISTS (SELECT 1 FROM leads l WHERE l.id = intakes.lead_id) FROM intakes ORDER BY id`,
		func(rows *sql.Rows) error {
			var id int64
			var in intake
			var removed bool // with the lead, by the revert of its import
			if err := rows.Scan(&id, &in.key, &in.payload, &in.status, &in.lead, &in.done, &removed); err != nil {
				return err
			}
			if removed {
				in.lead = 0
			}
			r.intakes[id] = in
			if in.lead != 0 {
				r.byLead[in.lead] = append(r.byLead[in.lead], id)
			}
			return nil
		})
}

// stored: what was acknowledged is stored as it was sent, once, and has one final verdict that fits.
func (r *reckoner) stored() error {
	sent := map[string]bool{}
	for n := range r.Load.Total {
		sent[r.Load.submission(n+1).Key] = true
	}
	times := map[string]int{}
	for id, in := range r.intakes {
		if times[in.key]++; !sent[in.key] {
			r.problem("intake %d was never sent", id)
		}
	}
	for key, n := range times {
		if n > 1 {
			r.twice(n-1, "%s is stored %d times", key, n)
		}
	}
	for _, a := range r.Load.Acknowledged() {
		r.out.Acknowledged++
		id, _ := strconv.ParseInt(a.Intake, 10, 64)
		in, ok := r.intakes[id]
		switch {
		case !ok:
			r.lose(a.Key, "intake %s was acknowledged and is not stored", a.Intake)
		case in.key != a.Key || in.payload != a.Body:
			r.lose(a.Key, "intake %s is not what was sent", a.Intake)
		case !in.done || !fits(in, a.Bad):
			r.lose(a.Key, "intake %s has the verdict %s, which is not final or not the right one", a.Intake, in.status)
		}
	}
	return nil
}

func fits(in intake, bad bool) bool {
	if bad {
		return in.status == "rejected" && in.lead == 0
	}
	return (in.status == "accepted" || in.status == "duplicate") && in.lead != 0
}

// people: a person is one lead, founded by one intake; its keys point to it.
func (r *reckoner) people() error {
	leadOf := map[int]int64{}
	for _, a := range r.Load.Acknowledged() {
		id, _ := strconv.ParseInt(a.Intake, 10, 64)
		in := r.intakes[id]
		if a.Bad || in.lead == 0 {
			continue
		}
		if known := leadOf[a.Person]; known != 0 && known != in.lead {
			r.twice(1, "person %d is lead %d and lead %d", a.Person, known, in.lead)
		}
		leadOf[a.Person] = in.lead
	}
	for lead, ids := range r.byLead {
		founders := 0
		for _, id := range ids {
			if r.intakes[id].status == "accepted" {
				founders++
			}
		}
		if founders != 1 || r.intakes[lead].status != "accepted" {
			r.problem("lead %d has %d founding intakes, want its own", lead, founders)
		}
	}
	leads, err := r.count(`SELECT count(*) FROM leads`)
	if err == nil && leads != len(r.byLead) {
		r.problem("there are %d leads, the intakes speak of %d", leads, len(r.byLead))
	}
	if err != nil {
		return err
	}
	return r.each(`SELECT k.lead_id FROM lead_keys k LEFT JOIN leads l ON l.id = k.lead_id WHERE l.id IS NULL`, func(rows *sql.Rows) error {
		var lead int64
		r.problem("a match key points to a lead that is not there")
		return rows.Scan(&lead)
	})
}

// stories: the events of a lead tell its intakes and deliveries once each, in order, and rebuild its row.
func (r *reckoner) stories() error {
	events := map[int64][]event{}
	err := r.each(`SELECT id, lead_id, kind, CAST(data AS text) FROM events ORDER BY lead_id, id`, func(rows *sql.Rows) error {
		var e event
		var data string
		err := rows.Scan(&e.id, &e.lead, &e.kind, &data)
		e.data = json.RawMessage(data)
		events[e.lead] = append(events[e.lead], e)
		return err
	})
	if err != nil {
		return err
	}
	planned, err := r.planned()
	if err != nil {
		return err
	}
	if err := r.compareRows(events, planned); err != nil {
		return err
	}
	for lead, told := range events {
		if s := tell(lead, told); !s.over {
			r.problem("lead %d has events and no row", lead)
		}
	}
	return nil
}

// planned returns the deliveries of each lead.
func (r *reckoner) planned() (map[int64][]int64, error) {
	planned := map[int64][]int64{}
	err := r.each(`SELECT lead_id, id FROM deliveries`, func(rows *sql.Rows) error {
		var lead, id int64
		err := rows.Scan(&lead, &id)
		planned[lead] = append(planned[lead], id)
		return err
	})
	return planned, err
}

func (r *reckoner) compareRows(events map[int64][]event, planned map[int64][]int64) error {
	return r.each(`SELECT id, state, CAST(fields AS text), CAST(extra AS text), submissions, score, CAST(parts AS text),
			coalesce(owner_id, 0), owner_reason FROM leads ORDER BY id`, func(rows *sql.Rows) error {
		var id int64
		var has row
		var fields, extra, parts string
		if err := rows.Scan(&id, &has.State, &fields, &extra, &has.Submissions, &has.Score, &parts, &has.OwnerID, &has.OwnerReason); err != nil {
			return err
		}
		for text, into := range map[string]any{fields: &has.Fields, extra: &has.Extra, parts: &has.Parts} {
			if err := json.Unmarshal([]byte(text), into); err != nil {
				return err
			}
		}
		s := tell(id, events[id])
		delete(events, id)
		if s.over {
			r.problem("lead %d has a row behind the end of its story", id)
		}
		s.compare(has)
		r.once(s.intakes, r.byLead[id], "lead %d tells of intake %d %d times", id)
		r.once(s.planned, planned[id], "lead %d tells of delivery %d %d times", id)
		for delivery, n := range s.done {
			if n > 1 {
				r.twice(n-1, "delivery %d is told as done %d times", delivery, n)
			}
		}
		r.out.Problems = append(r.out.Problems, s.wrong...)
		return nil
	})
}

// once compares what a story tells with what there is to tell.
func (r *reckoner) once(told map[int64]int, there []int64, format string, lead int64) {
	all := maps.Clone(told)
	for _, id := range there {
		all[id] += 0
	}
	for id := range all {
		switch n := told[id]; {
		case n > 1:
			r.twice(n-1, format, lead, id, n)
		case n == 0, !slices.Contains(there, id):
			r.problem(format, lead, id, n)
		}
	}
}

// delivery is a row of deliveries.
type delivery struct {
	id, lead, intake int64
	path, key, state string
	tries, taken     int
	first            int // place of its first call in the receiver's log; -1 none
}

// deliveries: each intake that concerns a lead is delivered to each destination under one key; the receiver took it, and
// not a second time where that is not safe; a lead's deliveries came in order.
func (r *reckoner) deliveries() error {
	byKey, err := r.readDeliveries()
	if err != nil {
		return err
	}
	paths := map[string]bool{}
	for n, c := range r.Receiver.Calls() {
		d := byKey[c.Key]
		switch {
		case d == nil:
			r.problem("the receiver was called with a key that no delivery has")
			continue
		case strconv.FormatInt(d.lead, 10) != c.Lead || d.path != c.Path:
			r.problem("delivery %d was made for another lead or at another destination", d.id)
		}
		paths[c.Path] = true
		if d.first < 0 {
			d.first = n
		}
		if c.Taken {
			d.taken++
		}
	}
	r.taken(byKey)
	r.ordered(slices.Collect(maps.Values(byKey)))
	return r.complete(byKey)
}

func (r *reckoner) readDeliveries() (map[string]*delivery, error) {
	byKey := map[string]*delivery{}
	err := r.each(`SELECT v.id, v.lead_id, v.intake_id, d.url, v.key, v.state, v.tries FROM deliveries v JOIN destinations d ON d.id = v.destination_id`,
		func(rows *sql.Rows) error {
			d := delivery{first: -1}
			err := rows.Scan(&d.id, &d.lead, &d.intake, &d.path, &d.key, &d.state, &d.tries)
			d.path = strings.TrimPrefix(d.path, r.Receiver.URL)
			if byKey[d.key] != nil {
				r.twice(1, "two deliveries have one key")
			}
			byKey[d.key] = &d
			return err
		})
	return byKey, err
}

func (r *reckoner) taken(byKey map[string]*delivery) {
	for _, d := range byKey {
		once := slices.Contains(r.Once, d.path)
		switch {
		case d.state == "uncertain" && once:
			r.out.Uncertain++
		case d.state != "done":
			r.lose(r.intakes[d.intake].key, "delivery %d is %s", d.id, d.state)
		case d.taken == 0:
			r.lose(r.intakes[d.intake].key, "delivery %d is done, and nobody took it", d.id)
		}
		if once && d.taken > 1 {
			r.twice(d.taken-1, "delivery %d was taken %d times where repeating is not safe", d.id, d.taken)
		}
		if d.taken > d.tries {
			r.problem("delivery %d was taken %d times in %d tries", d.id, d.taken, d.tries)
		}
	}
}

// ordered: of a lead's deliveries to one destination, the earlier one is called first.
func (r *reckoner) ordered(all []*delivery) {
	slices.SortFunc(all, func(a, b *delivery) int {
		return cmp.Or(cmp.Compare(a.lead, b.lead), cmp.Compare(a.path, b.path), cmp.Compare(a.id, b.id))
	})
	for n := 1; n < len(all); n++ {
		a, b := all[n-1], all[n]
		if a.lead == b.lead && a.path == b.path && a.first >= 0 && b.first >= 0 && a.first > b.first {
			r.problem("delivery %d of lead %d came before delivery %d", b.id, b.lead, a.id)
		}
	}
}

// complete: an intake that concerns a lead has one delivery to each destination.
func (r *reckoner) complete(byKey map[string]*delivery) error {
	destinations, err := r.count(`SELECT count(*) FROM destinations`)
	if err != nil {
		return err
	}
	has := map[int64]int{}
	for _, d := range byKey {
		has[d.intake]++
	}
	for id, in := range r.intakes {
		switch want := destinations * min(1, int(in.lead)); {
		case has[id] < want:
			r.lose(in.key, "intake %d has %d deliveries, want %d", id, has[id], want)
		case has[id] > want:
			r.twice(has[id]-want, "intake %d has %d deliveries, want %d", id, has[id], want)
		}
	}
	return nil
}

// queue: no job is left, no worker is listed, and what is completed has left its mark.
func (r *reckoner) queue() error {
	parked := 0
	err := r.each(`SELECT id, kind, CAST(state AS text) FROM river_job WHERE CAST(state AS text) <> 'completed' AND kind NOT IN ('cron_tick', 'purge')`,
		func(rows *sql.Rows) error {
			var id int64
			var kind, state string
			err := rows.Scan(&id, &kind, &state)
			if state == "discarded" && parked < r.Parked {
				parked++
				return err
			}
			r.problem("job %d, %s, is still %s", id, kind, state)
			return err
		})
	if err != nil {
		return err
	}
	unfenced, err := r.count(`SELECT count(*) FROM river_job WHERE CAST(state AS text) = 'completed' AND kind = 'process_leads'
		AND NOT EXISTS (SELECT 1 FROM done_keys k WHERE k.key = 'job/' || CAST(river_job.id AS text))`)
	if err == nil && unfenced > 0 {
		r.problem("%d jobs are completed and their effects were never committed", unfenced)
	}
	return err
}

// cron: each tick of the one schedule there is has made one job, and left its key.
func (r *reckoner) cron() error {
	jobs, err := r.count(`SELECT count(*) FROM river_job WHERE kind = 'purge'`)
	if err != nil {
		return err
	}
	keys, err := r.count(`SELECT count(*) FROM done_keys WHERE key LIKE 'cron/purge/%'`)
	if err == nil && (jobs != keys || keys == 0) {
		r.problem("%d ticks of cron are on record, and made %d jobs", keys, jobs)
	}
	return err
}

// MakeDue lets the schedule have a tick that was missed an hour ago. Do it before the first worker starts.
func MakeDue(ctx context.Context, db *sql.DB) error {
	_, err := db.ExecContext(ctx, `INSERT INTO schedules (name, cron, zone, missed, next_at) VALUES ('purge', '17 3 * * *', 'UTC', 'once', $1)`,
		time.Now().UTC().Add(-time.Hour).Truncate(time.Second))
	return err
}

// leaks: nobody is connected, nothing is locked.
func (r *reckoner) leaks() error {
	if !r.postgres {
		var sound string
		err := r.each(`PRAGMA integrity_check`, func(rows *sql.Rows) error { return rows.Scan(&sound) })
		if err == nil && sound != "ok" {
			r.problem("the file is not sound: %s", sound)
		}
		return err
	}
	for what, query := range map[string]string{
		"connections":      `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'`,
		"advisory locks":   `SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'`,
		"prepared commits": `SELECT count(*) FROM pg_prepared_xacts`,
	} {
		n := 1
		var err error
		for deadline := time.Now().Add(20 * time.Second); n > 0 && time.Now().Before(deadline); { // backends take a moment to notice
			if n, err = r.count(query); err != nil {
				return err
			}
			if n > 0 {
				<-time.After(50 * time.Millisecond)
			}
		}
		if n > 0 {
			r.problem("%d %s are left", n, what)
		}
	}
	return nil
}
