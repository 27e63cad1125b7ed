package leadmill_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/leadmill/leadmill/dbctx"
)

// BenchmarkJobBesideABacklog measures the CPU of a job, of worker and server together, with 20,000 others waiting and with
// 1,000,000. The clock starts when 5,000 are done and stops 10,000 later.
func BenchmarkJobBesideABacklog(b *testing.B) {
	f := &fleet{tb: b, folder: b.TempDir()}
	f.build()
	var few, many []float64
	for b.Loop() {
		few = append(few, f.backlog(20_000))
		many = append(many, f.backlog(1_000_000))
	}
	b.ReportMetric(median(few), "cpu-us/job-20000")
	b.ReportMetric(median(many), "cpu-us/job-1000000")
	b.ReportMetric(median(many)/median(few), "times")
}

// backlog works some of waiting jobs, each of which changes a lead of 100,000, and returns the CPU of one in microseconds.
func (f *fleet) backlog(waiting int) float64 {
	f.tb.Helper()
	const leads, first, counted = 100_000, 5_000, 10_000
	url := f.fresh()
	d := &door{f: f, db: openBench(f.tb, url)}
	d.exec(`INSERT INTO leads (id, state, email, phone, name, company, country, name_key, last_key, company_key, fields, extra, submissions,
			score, parts, owner_reason, created_at, updated_at)
		SELECT n, 'new', n || '@example.com', '', 'Bench', '', '', 'bench', 'bench', '',
			'{"email": {"value": "bench@example.com"}, "name": {"value": "Bench"}}', '{}', 1, 0, '[]', '', now(), now()
		FROM generate_series(1, $1::int) n`, leads)
	d.exec(`INSERT INTO river_job (args, kind, max_attempts, queue, state)
		SELECT jsonb_build_object('lead_id', n % $2::int + 1), 'bench_lead', 25, 'live', 'available' FROM generate_series(1, $1::int) n`,
		waiting+first+counted, leads)
	vacuum(f.tb, url)
	worker := f.start("leadmill worker")
	d.await(first)
	before, from, start := d.cpu(worker.Process.Pid), d.done(), time.Now()
	d.await(from + counted)
	after, to, took := d.cpu(worker.Process.Pid), d.done(), time.Since(start)
	if err := worker.Process.Signal(syscall.SIGTERM); err != nil {
		f.tb.Fatal(err)
	}
	_ = worker.Wait()
	each := (after - before) / float64(to-from)
	fmt.Printf(`{"name":"job","waiting":%d,"jobs":%d,"seconds":%.1f,"cpu_us":%.1f}`+"\n", waiting, to-from, took.Seconds(), each)
	return each
}

// vacuum does at once what PostgreSQL would do by itself in the middle of the measurement.
func vacuum(tb testing.TB, url string) {
	tb.Helper()
	c, err := pgx.Connect(tb.Context(), url)
	if err != nil {
		tb.Fatal(err)
	}
	defer c.Close(context.Background())
	if _, err := c.Exec(tb.Context(), `VACUUM ANALYZE`); err != nil {
		tb.Fatal(err)
	}
}

func (d *door) done() (n int) {
	d.ask(`SELECT count(*) FROM done_keys`, &n)
	return n
}

// await looks ten times a second: counting them is work of the server, and would be measured.
func (d *door) await(done int) {
	d.f.tb.Helper()
	look := time.NewTicker(100 * time.Millisecond)
	defer look.Stop()
	for begun := time.Now(); d.done() < done; <-look.C {
		if time.Since(begun) > 10*time.Minute {
			d.f.tb.Fatalf("%d jobs are not done after ten minutes", done)
		}
	}
}

// cpu is what a process and the server have used so far, in microseconds: the postmaster, its living children, and those that it
// has buried.
func (d *door) cpu(pid int) float64 {
	d.f.tb.Helper()
	var backend int
	d.ask(`SELECT pg_backend_pid()`, &backend)
	postmaster := processStat(backend)[3]
	ticks := 0.0
	all, _ := filepath.Glob("/proc/[0-9]*")
	for _, path := range all {
		id, _ := strconv.Atoi(filepath.Base(path))
		s := processStat(id)
		if id == pid || s[0] == postmaster || s[3] == postmaster {
			ticks += s[13] + s[14]
		}
		if s[0] == postmaster {
			ticks += s[15] + s[16]
		}
	}
	return ticks * 10_000
}

// processStat are the numbers of /proc/PID/stat, by their places there less one; the name, which is none, is 0.
func processStat(pid int) (stat [52]float64) {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, behind, _ := strings.Cut(string(text), ") ")
	stat[0] = float64(pid)
	for i, field := range strings.Fields(behind) {
		if i+2 < len(stat) {
			stat[i+2], _ = strconv.ParseFloat(field, 64)
		}
	}
	return stat
}

func openBench(tb testing.TB, url string) *dbctx.DB {
	tb.Helper()
	db, err := dbctx.Open(tb.Context(), url, dbctx.Pool{Size: 1})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(db.Close)
	return db
}
