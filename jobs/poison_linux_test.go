package jobs

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/leadmill/leadmill/dbctx"
)

// The job that eats memory until its process dies, tried with real processes: this test program, started again with the
// database in eaterURL.

const (
	eaterURL = "LEADMILL_TEST_EATER"
	glutton  = 1 << 10 // MiB that a process may have more than it has at its start
)

// TestTheProcessThatWorksIt is not a test but that process. It ends when nothing is left to do, or without memory.
func TestTheProcessThatWorksIt(t *testing.T) {
	url := os.Getenv(eaterURL)
	if url == "" {
		return
	}
	limitMemory(t)
	db, err := dbctx.Open(t.Context(), url, dbctx.Pool{Size: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	q := process(t, db, 2, func(_ context.Context, no int64) error {
		var eaten *mouthful
		for no == 1 {
			eaten = &mouthful{before: eaten}
		}
		return nil
	})
	stopLater(t, q)
	await(t, func() bool { return jobsIn(t, db, "discarded") == 1 && jobsIn(t, db, "completed") == 20 })
}

type mouthful struct {
	before *mouthful
	_      [16 << 20]byte
}

// limitMemory lets the kernel refuse this process more.
func limitMemory(t *testing.T) {
	t.Helper()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	var pages uint64
	if _, err := fmt.Sscan(string(text), &pages); err != nil {
		t.Fatal(err)
	}
	most := pages*uint64(os.Getpagesize()) + glutton<<20
	if err := syscall.Setrlimit(syscall.RLIMIT_AS, &syscall.Rlimit{Cur: most, Max: most}); err != nil {
		t.Fatal(err)
	}
}

func TestAJobThatEatsTheMemoryOfFourProcessesIsParkedAndAllOthersGoThrough(t *testing.T) {
	t.Parallel()
	url := recoveryDatabases.URL(t, dbctx.Postgres)
	db, err := dbctx.Open(t.Context(), url, dbctx.Pool{Size: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	q := newQueue(db, Options{})
	inScope(q, func(context.Context, *Scope, crash) error { return nil }) // it enqueues and works none
	if err := q.connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(q.Close)
	for no := range int64(21) {
		enqueue(t, q, crash{No: 1 + no})
	}
	deaths := 0
	for ; deaths <= suspectAfter+1; deaths++ {
		c := exec.Command(os.Args[0], "-test.run", "^TestTheProcessThatWorksIt$", "-test.timeout", "2m")
		c.Env = append(os.Environ(), eaterURL+"="+url)
		out, err := c.CombinedOutput()
		if err == nil {
			break
		}
		if strings.Contains(string(out), "--- FAIL") {
			t.Fatalf("the process ended with %v as a test does, want it to die in the middle:\n%s", err, out)
		}
	}
	if deaths != suspectAfter+1 {
		t.Errorf("%d processes died, want %d: in three with others, in one alone", deaths, suspectAfter+1)
	}
	if n := worked(t, db, 1); n != 0 {
		t.Errorf("the job that eats left %d events, want none", n)
	}
	for no := int64(2); no <= 21; no++ {
		if n := worked(t, db, no); n != 1 {
			t.Errorf("job %d was done %d times, want once", no, n)
		}
	}
	failed, err := q.FailedJobs(t.Context(), 10)
	if err != nil || len(failed) != 1 || failed[0].Error != whyParked {
		t.Errorf("failed jobs = %+v, %v; want the one that eats, with the reason", failed, err)
	}
}

func jobsIn(t *testing.T, db *dbctx.DB, state string) (n int) {
	t.Helper()
	err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
		return tx.QueryRow(ctx, `SELECT count(*) FROM river_job WHERE state = $1`, state).Scan(&n)
	}, dbctx.ReadOnly())
	if err != nil {
		t.Fatal(err)
	}
	return n
}
