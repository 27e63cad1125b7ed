package jobs_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/jobs"
	"github.com/leadmill/leadmill/schema"
)

// buried makes n jobs that were given up for a reason, after all their attempts, and returns their ids.
func (s *shop) buried(n int, reason string, args jobs.Args) (ids []int64) {
	s.t.Helper()
	s.run(func(ctx context.Context, tx *dbctx.Tx) error {
		var last int64
		if err := tx.QueryRow(ctx, `SELECT coalesce(max(id), 0) FROM river_job`).Scan(&last); err != nil {
			return err
		}
		if err := s.q.Enqueue(ctx, tx, slices.Repeat([]jobs.Args{args}, n)...); err != nil {
			return err
		}
		errors := `array_append(errors, jsonb_build_object('at', '2026-03-02T09:30:00Z', 'attempt', 25, 'error', $1::text, 'trace', 'trace'))`
		if tx.Dialect() == dbctx.SQLite {
			errors = `jsonb_array(json_object('at', '2026-03-02T09:30:00Z', 'attempt', 25, 'error', $1, 'trace', 'trace'))`
		}
		var err error
		ids, err = dbctx.All(ctx, tx, func(row dbctx.Scanner) (id int64, err error) { return id, row.Scan(&id) },
			`UPDATE river_job SET state = 'discarded', attempt = max_attempts, finalized_at = $2, errors = `+errors+` WHERE id > $3 RETURNING id`,
			reason, at, last)
		return err
	})
	return ids
}

func (s *shop) job(id int64) (j schema.Job) {
	s.t.Helper()
	s.run(func(ctx context.Context, tx *dbctx.Tx) (err error) {
		j, err = schema.GetJob(ctx, tx, id)
		return err
	})
	return j
}

func TestFailedJobsAreFoundByWhatTheyAreAndWhy(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		s := newShop(t, db, jobs.Options{})
		leads := s.buried(3, "the disk is Full (100%)", jobs.ProcessLeads{IntakeIDs: []int64{1}})
		files := s.buried(2, "no such file", jobs.ImportFile{ImportID: 7})
		s.run(func(ctx context.Context, tx *dbctx.Tx) error { return s.q.Enqueue(ctx, tx, jobs.Purge{}) })
		for _, c := range []struct {
			query schema.JobQuery
			want  []int64
		}{
			{schema.JobQuery{}, append(slices.Clone(leads), files...)},
			{schema.JobQuery{Kind: "import_file"}, files},
			{schema.JobQuery{Queue: jobs.Live}, leads},
			{schema.JobQuery{State: "discarded", Error: "FULL (100%"}, leads},
			{schema.JobQuery{State: "retryable"}, nil},
			{schema.JobQuery{State: "available"}, nil},
			{schema.JobQuery{Error: "such", Kind: "process_leads"}, nil},
			{schema.JobQuery{Before: files[0]}, leads},
		} {
			s.run(func(ctx context.Context, tx *dbctx.Tx) error {
				found, err := schema.FailedJobs(ctx, tx, c.query)
				if err != nil {
					return err
				}
				var got []int64
				for _, j := range found {
					got = append(got, j.ID)
				}
				slices.Reverse(got)
				count, err := schema.CountFailedJobs(ctx, tx, c.query)
				if !slices.Equal(got, c.want) || count != int64(len(c.want)) {
					t.Errorf("%+v finds %v and counts %d, want %v", c.query, got, count, c.want)
				}
				return err
			})
		}
		j := s.job(files[0])
		if j.State != "discarded" || strings.ReplaceAll(string(j.Args), " ", "") != `{"import_id":7}` || len(j.Errors) != 1 ||
			j.Errors[0].Error != "no such file" || j.Errors[0].Attempt != 25 || j.Errors[0].Trace != "trace" || j.FinalizedAt == nil {
			t.Errorf("job = %+v, want all that is known of it", j)
		}
	})
}

func TestTwoOperatorsRetryEachJobOnce(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		s := newShop(t, db, jobs.Options{})
		const many = 2300
		s.buried(many, "the receiver was away", jobs.RouteLeads{})
		other := s.buried(1, "something else", jobs.RouteLeads{})
		var wg sync.WaitGroup
		counts := make([]int, 2)
		for i := range counts {
			wg.Go(func() {
				n, err := s.q.RetryFailed(s.ctx, schema.JobQuery{Error: "was away", Limit: 3})
				if err != nil {
					t.Error(err)
				}
				counts[i] = n
			})
		}
		wg.Wait()
		if sum := counts[0] + counts[1]; sum != many {
			t.Errorf("two operators retried %v, together %d, want %d", counts, sum, many)
		}
		if got := s.count("available"); got != many {
			t.Errorf("%d jobs may run, want %d", got, many)
		}
		if j := s.job(other[0]); j.State != "discarded" {
			t.Errorf("a job that does not match is %s", j.State)
		}
	})
}

func (s *shop) count(state string) (n int) {
	s.t.Helper()
	s.run(func(ctx context.Context, tx *dbctx.Tx) error {
		counts, err := schema.JobCounts(ctx, tx)
		for _, c := range counts {
			if c.State == state {
				n += int(c.Count)
			}
		}
		return err
	})
	return n
}

func TestAJobWithoutAttemptsLeftRunsAgainWhenAPersonSaysSo(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		s := newShop(t, db, jobs.Options{})
		id := s.buried(1, "it was a bad day", jobs.RouteLeads{})[0]
		own := jobs.RouteLeads{}.Queue()
		s.run(func(ctx context.Context, tx *dbctx.Tx) error { // as a suspect: see recovery.go
			if _, err := tx.Exec(ctx, `INSERT INTO job_crashes (job_id, crashes, queue) VALUES ($1, 4, $2)`, id, own); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, `UPDATE river_job SET queue = $2 WHERE id = $1`, id, jobs.Suspect)
			return err
		})
		if err := s.q.RetryJob(s.ctx, id); err != nil {
			t.Fatal(err)
		}
		got := s.job(id)
		want := "available " + own + " 25 26 0"
		if got := fmt.Sprint(got.State, " ", got.Queue, " ", got.Attempt, " ", got.MaxAttempts, " ", got.Crashes); got != want {
			t.Errorf("retried job = %s, want %s", got, want)
		}
		if len(got.Errors) != 1 {
			t.Errorf("the retry lost why the job had failed: %+v", got.Errors)
		}
		s.start()
		s.until("the job", func() bool { return s.job(id).State == "completed" })
	})
}
