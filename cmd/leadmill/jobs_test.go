package main

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/jobs"
)

// bury leaves n jobs in the database that were given up.
func bury(t *testing.T, url string, n int) {
	t.Helper()
	db, err := dbctx.Open(t.Context(), url, dbctx.Pool{Size: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	q, err := jobs.Open(t.Context(), db, jobs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	err = dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
		for i := range n {
			if err := q.Enqueue(ctx, tx, jobs.ImportFile{ImportID: int64(i)}); err != nil {
				return err
			}
		}
		_, err := tx.Exec(ctx, `UPDATE river_job SET state = 'discarded', finalized_at = created_at`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestFailedJobsAreLookedAtCountedAndRetried(t *testing.T) {
	eachURL(t, func(t *testing.T, url string) {
		bury(t, url, 8)
		list := decode[[]jobLine](t, leadmill(t, on(url), "", "jobs", "list", "--kind", "import_file", "--json").want(t, exitDone))
		if len(list) != 8 || list[0].State != "discarded" {
			t.Fatalf("jobs list = %+v, want 8 that were given up", list)
		}
		if list := decode[[]jobLine](t, leadmill(t, on(url), "", "jobs", "list", "--error", "nothing like it", "--json").want(t, exitDone)); len(list) != 0 {
			t.Errorf("jobs list finds %+v, want none", list)
		}
		shown := leadmill(t, on(url), "", "jobs", "show", list[0].ID).want(t, exitDone).stdout
		if !strings.Contains(shown, "import_file") || !strings.Contains(shown, "discarded") || !strings.Contains(shown, "import_id") {
			t.Errorf("jobs show = %s", shown)
		}
		leadmill(t, on(url), "", "jobs", "show", "999").want(t, exitNotFound)

		ids := []string{list[0].ID, list[1].ID}
		r := decode[retried](t, leadmill(t, on(url), "", append([]string{"jobs", "retry", "--json"}, ids...)...).want(t, exitDone))
		if r.Retried != 2 {
			t.Errorf("jobs retry of two = %+v", r)
		}
		leadmill(t, on(url), "", append([]string{"jobs", "retry"}, ids...)...).want(t, exitNotFound) // they do not fail any more

		all := []string{"jobs", "retry", "--all", "--kind", "import_file", "--json"}
		dry := decode[retried](t, leadmill(t, on(url), "", append(all, "--dry-run")...).want(t, exitDone))
		if dry.Matching != 6 || dry.Retried != 0 || !dry.DryRun || len(dry.First) != firstFew {
			t.Errorf("dry run = %+v, want 6 that match and none retried", dry)
		}
		leadmill(t, on(url), "y\n", all...).want(t, exitUsage) // a pipe is nobody to be asked
		if r := decode[retried](t, leadmill(t, on(url), "", append(all, "--yes")...).want(t, exitDone)); r.Retried != 6 {
			t.Errorf("jobs retry --all = %+v, want 6", r)
		}
		if r := decode[retried](t, leadmill(t, on(url), "", append(all, "--yes")...).want(t, exitDone)); r.Retried != 0 {
			t.Errorf("jobs retry --all again = %+v, want none", r)
		}
		s := decode[status](t, leadmill(t, on(url), "", "status", "--json").want(t, exitDone))
		if fmt.Sprint(s.Jobs) != "[{files available 8}]" {
			t.Errorf("status shows jobs %v, want all eight waiting", s.Jobs)
		}
	})
}

func TestRetryRefusesWhatCannotBeMeant(t *testing.T) {
	for _, args := range [][]string{
		{}, {"1", "--all"}, {"1", "--dry-run"}, {"1", "--kind", "purge"}, {"x"}, {"--all", "--state", "completed"},
	} {
		leadmill(t, nil, "", append([]string{"jobs", "retry"}, args...)...).want(t, exitUsage)
	}
}
