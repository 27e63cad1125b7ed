package leadmill_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/dbctx/dbctxtest"
)

// BenchmarkFromPostToDelivered posts one lead after the other on an idle house and waits for each delivery. It
// prints the median and the slowest hundredth, in milliseconds.
func BenchmarkFromPostToDelivered(b *testing.B) {
	for _, d := range []dbctx.Dialect{dbctx.SQLite, dbctx.Postgres} {
		b.Run(string(d), func(b *testing.B) {
			db, err := dbctx.Open(context.Background(), databases.URL(b, d), dbctx.Pool{})
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(db.Close)
			h := newHouse(b, db)
			h.deliver()
			var took []time.Duration
			for n := 0; b.Loop(); n++ {
				start := time.Now()
				h.post(h.keys[0], fmt.Sprintf(`{"email":"bench%d@example.com","name":"Bench"}`, n))
				<-h.receiver.called
				took = append(took, time.Since(start))
			}
			report(b, took)
		})
	}
}

// BenchmarkJobAgainstTheLimit works the unit of the reference through the program, the queue and a scope for each job. A
// round is the limit, the job twice, and the limit again, each on a fresh database of one server that loses nothing.
func BenchmarkJobAgainstTheLimit(b *testing.B) {
	f := &fleet{tb: b, folder: b.TempDir()}
	f.build()
	var speed, cpu, inbox []float64
	for b.Loop() {
		before := measureLimit(b, "limit")
		first, second := f.bench(), f.bench()
		after := measureLimit(b, "limit")
		speed = append(speed, first.Rate/before.TPS, second.Rate/after.TPS)
		cpu = append(cpu, before.cpu()/first.cpu(), after.cpu()/second.cpu())
		inbox = append(inbox, second.Rate/measureLimit(b, "limit_inbox").TPS)
	}
	b.ReportMetric(median(speed), "of-limit")
	b.ReportMetric(median(cpu), "of-limit-by-cpu")
	b.ReportMetric(median(inbox), "of-limit-inbox")
}

// BenchmarkPipelineAgainstBareSQL takes submissions to owned leads, 500 in a job, through the program. A round is the same row
// changes as bare set-based SQL by two psql processes, the program twice, and the SQL again. The SQL writes more: two rows of
// lead_blocks, a delivery and its event for each lead.
func BenchmarkPipelineAgainstBareSQL(b *testing.B) {
	f := &fleet{tb: b, folder: b.TempDir()}
	f.build()
	var rate, speed, cpu []float64
	for b.Loop() {
		before := f.bareSQL()
		first, second := f.pipeline(), f.pipeline()
		after := f.bareSQL()
		rate = append(rate, first.LeadRate, second.LeadRate)
		speed = append(speed, first.LeadRate/before.LeadRate, second.LeadRate/after.LeadRate)
		cpu = append(cpu, before.cpu()/first.cpu(), after.cpu()/second.cpu())
	}
	b.ReportMetric(median(rate), "leads/s")
	b.ReportMetric(median(speed), "of-bare-sql")
	b.ReportMetric(median(cpu), "of-bare-sql-by-cpu")
}

const benchLeads = 40_000

func (f *fleet) pipeline() benchLine {
	f.tb.Helper()
	f.fresh()
	return f.measure(fmt.Sprintf("leadmill bench --unit pipeline --leads %d --json", benchLeads))
}

func (f *fleet) bareSQL() benchLine {
	f.tb.Helper()
	f.fresh()
	script, err := filepath.Abs("testdata/bare/bare.sh")
	if err != nil {
		f.tb.Fatal(err)
	}
	return f.measure(fmt.Sprintf("'%s' %d", script, benchLeads))
}

// fresh gives the fleet an empty database of its own on a server that loses nothing, and returns its URL. Of twenty-two
// connections two are the reserve of the pool.
func (f *fleet) fresh() (url string) {
	f.tb.Helper()
	url = safe.URL(f.tb, dbctx.Postgres)
	f.environ = append(os.Environ(), "PATH="+f.folder+":"+os.Getenv("PATH"), "DATABASE_URL="+url, "DB_POOL_SIZE=22", "DB_MAX_OVERFLOW=0",
		"LOG_LEVEL=warn")
	f.run("leadmill migrate up")
	return url
}

// measure prints the line of a benchmark.
func (f *fleet) measure(command string) (l benchLine) {
	f.tb.Helper()
	line := f.run(command)
	fmt.Print(line)
	if err := json.Unmarshal([]byte(line), &l); err != nil {
		f.tb.Fatal(err)
	}
	return l
}

// safe loses nothing when the power fails.
var safe = dbctxtest.NewOn("bench", nil, dbctxtest.Safe...)

type limit struct{ dbctxtest.Limit }

func measureLimit(b *testing.B, script string) limit {
	return limit{dbctxtest.MeasureLimit(b, "../shared/bench", safe.URL(b, dbctx.Postgres), script, 5)}
}

// cpu of client and server together, in microseconds; NaN where the server is elsewhere.
func (l limit) cpu() float64 { return both(&l.ClientCPU, l.PgCPU) }

func both(client, server *float64) float64 {
	if client == nil || server == nil {
		return math.NaN()
	}
	return *client + *server
}

// benchLine is what leadmill bench prints.
type benchLine struct {
	Rate      float64  `json:"jobs_per_s"`
	LeadRate  float64  `json:"leads_per_s"`
	ClientCPU *float64 `json:"client_cpu_us"`
	PgCPU     *float64 `json:"pg_cpu_us"`
}

func (l benchLine) cpu() float64 { return both(l.ClientCPU, l.PgCPU) }

// bench works jobs on twenty connections, as many as the reference has; two more are the reserve of the pool. Every job
// must have left one event.
func (f *fleet) bench() (l benchLine) {
	f.tb.Helper()
	const jobs = 40_000
	url := f.fresh()
	l = f.measure(fmt.Sprintf("leadmill bench --unit job --jobs %d --json", jobs))
	if events, leads := countEvents(f.tb, url); events != jobs || leads != jobs {
		f.tb.Fatalf("%d events of %d leads, want one for each of %d jobs", events, leads, jobs)
	}
	return l
}

func countEvents(tb testing.TB, url string) (events, leads int) {
	tb.Helper()
	db, err := dbctx.Open(context.Background(), url, dbctx.Pool{Size: 1})
	if err != nil {
		tb.Fatal(err)
	}
	defer db.Close()
	err = dbctx.Run(context.Background(), db, func(ctx context.Context, tx *dbctx.Tx) error {
		return tx.QueryRow(ctx, `SELECT count(*), count(DISTINCT lead_id) FROM events`).Scan(&events, &leads)
	}, dbctx.ReadOnly())
	if err != nil {
		tb.Fatal(err)
	}
	return events, leads
}

func median(of []float64) float64 {
	slices.Sort(of)
	return (of[(len(of)-1)/2] + of[len(of)/2]) / 2
}

func report(b *testing.B, took []time.Duration) {
	b.ReportMetric(ms(quantile(took, 50)), "ms-median")
	b.ReportMetric(ms(quantile(took, 99)), "ms-p99")
}
