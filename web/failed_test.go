package web

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"testing"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/jobs"
)

func TestFailedJobsAreSearchedCountedAndRetried(t *testing.T) {
	siteDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		s := newSite(t, db, Config{})
		s.users()
		s.run(func(ctx context.Context, tx *dbctx.Tx) error {
			err := s.q.Enqueue(ctx, tx, jobs.ImportFile{ImportID: 1}, jobs.ImportFile{ImportID: 2}, jobs.RouteLeads{})
			if err == nil {
				_, err = tx.Exec(ctx, `UPDATE river_job SET state = 'discarded', finalized_at = created_at`)
			}
			return err
		})
		s.login("viewer")
		s.lacks("/failed", "Retry all")
		for _, path := range []string{"/failed/jobs/retry", "/failed/jobs/1/retry"} {
			if r := s.press(path, nil); r.status != http.StatusForbidden {
				t.Errorf("a viewer's POST %s = %d, want 403", path, r.status)
			}
		}
		s.login("operator")
		s.sees("/failed", "3 in all", "Retry all 3<")
		s.sees("/failed?kind=import_file", "2 match the search", "Retry all 2 that match", "/failed/jobs/retry?")
		s.lacks("/failed?kind=import_file", "route_leads</td>")
		s.sees("/failed?error=nothing+like+it", "No failed job matches")
		s.sees("/failed/jobs/retry?kind=import_file", "Retry 2 jobs?", "import_file", `action="/failed/jobs/retry"`)
		job := s.first(`SELECT min(id) FROM river_job WHERE kind = 'import_file'`)
		s.sees("/failed/jobs/"+fmt.Sprint(job), "import_id", "discarded")
		if n := s.first(`SELECT count(*) FROM river_job WHERE state = 'available'`); n != 0 {
			t.Errorf("%d jobs were retried by looking", n)
		}
		r := s.press("/failed/jobs/retry", url.Values{"kind": {"import_file"}})
		if r.status != http.StatusSeeOther || r.header.Get("Location") != "/failed?notice=jobs" {
			t.Errorf("retry all = %d to %q", r.status, r.header.Get("Location"))
		}
		if n := s.first(`SELECT count(*) FROM river_job WHERE state = 'available' AND kind = 'import_file'`); n != 2 {
			t.Errorf("%d jobs may run again, want the 2 that match", n)
		}
		if r := s.press("/failed/jobs/"+fmt.Sprint(job)+"/retry", nil); r.header.Get("Location") != "/failed?notice=nothing" {
			t.Errorf("a second retry leads to %q, want a notice that there was nothing to do", r.header.Get("Location"))
		}
	})
}
