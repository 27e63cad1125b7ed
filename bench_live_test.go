package leadmill_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/schema"
)

// BenchmarkLiveBesideBulk posts one lead after the other to web, with a worker beside it, and waits until each is owned: on an
// idle house, and while a file of 200,000 rows is imported. It prints the medians and, beside the import, the slowest twentieth.
func BenchmarkLiveBesideBulk(b *testing.B) {
	const rows, idlePosts, pace = 200_000, 100, 60 * time.Millisecond
	f := &fleet{tb: b, folder: b.TempDir(), address: freeAddress(b)}
	f.build()
	form := f.open(safe.URL(b, dbctx.Postgres))
	for b.Loop() {
		for range 20 { // plans are made, pages are read
			form.post()
		}
		var idle, beside []time.Duration
		next := time.NewTicker(pace)
		defer next.Stop()
		for range idlePosts {
			idle = append(idle, form.post())
			<-next.C
		}
		f.run("leadmill import " + f.csv(rows) + " --source files")
		started := time.Now()
		for form.busy() {
			beside = append(beside, form.post())
			<-next.C
		}
		took := time.Since(started).Seconds()
		fmt.Printf(`{"name":"import","rows":%d,"seconds":%.1f,"rows_per_s":%.0f,"posts":%d}`+"\n", rows, took, rows/took, len(beside))
		b.ReportMetric(ms(quantile(idle, 50)), "idle-ms-median")
		b.ReportMetric(ms(quantile(beside, 50)), "beside-ms-median")
		b.ReportMetric(ms(quantile(beside, 95)), "beside-ms-p95")
	}
}

// door is where leads are posted, and the database in which they are found.
type door struct {
	f    *fleet
	db   *dbctx.DB
	key  string
	next int
}

// open starts web and a worker on a database with people who take leads.
func (f *fleet) open(url string) *door {
	f.tb.Helper()
	f.environ = append(os.Environ(), "PATH="+f.folder+":"+os.Getenv("PATH"), "DATABASE_URL="+url, "ADDR="+f.address, "LOG_LEVEL=error")
	lines := procfile(f.tb)
	f.run(lines["release"])
	for i := range 3 {
		f.run(fmt.Sprintf("leadmill user add %d@example.com --role operator --password-stdin", i), "correct horse battery\n")
	}
	var source struct{ Key string }
	if err := json.Unmarshal([]byte(f.run("leadmill source add form --country GB --json")), &source); err != nil {
		f.tb.Fatal(err)
	}
	db := openBench(f.tb, url)
	f.start(lines["web"])
	f.start(lines["worker"])
	f.curl(source.Key, `{"email":"first@example.com"}`)
	return &door{f: f, db: db, key: source.Key}
}

// post posts a lead and returns how long it took until it was owned.
func (d *door) post() time.Duration {
	d.f.tb.Helper()
	d.next++
	start := time.Now()
	body := fmt.Sprintf(`{"email":"live%d@example.com","name":"Live %d","phone":"+44 7911 %06d"}`, d.next, d.next, d.next)
	r, err := http.NewRequest(http.MethodPost, "http://"+d.f.address+"/api/v1/leads", strings.NewReader(body))
	if err != nil {
		d.f.tb.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+d.key)
	r.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		d.f.tb.Fatal(err)
	}
	defer answer.Body.Close()
	var taken struct{ ID string }
	if err := json.NewDecoder(answer.Body).Decode(&taken); err != nil || answer.StatusCode != http.StatusAccepted {
		d.f.tb.Fatalf("a post was answered by %s, %v", answer.Status, err)
	}
	id, err := strconv.ParseInt(taken.ID, 10, 64)
	if err != nil {
		d.f.tb.Fatal(err)
	}
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for !d.owned(id) {
		if <-look.C; time.Since(start) > time.Minute {
			d.f.tb.Fatalf("intake %d is not owned after a minute", id)
		}
	}
	return time.Since(start)
}

func (d *door) owned(id int64) (owned bool) {
	d.ask(`SELECT EXISTS (SELECT 1 FROM leads WHERE id = $1 AND state = 'owned')`, &owned, id)
	return owned
}

// busy says that an import is not read or not processed yet.
func (d *door) busy() (busy bool) {
	d.ask(`SELECT EXISTS (SELECT 1 FROM imports WHERE state <> $1) OR EXISTS (SELECT 1 FROM intakes WHERE status = 'pending')`,
		&busy, schema.ImportDone)
	return busy
}

func (d *door) ask(sql string, to any, args ...any) {
	d.f.tb.Helper()
	err := dbctx.Run(d.f.tb.Context(), d.db, func(ctx context.Context, tx *dbctx.Tx) error {
		return tx.QueryRow(ctx, sql, args...).Scan(to)
	}, dbctx.ReadOnly())
	if err != nil {
		d.f.tb.Fatal(err)
	}
}

func (d *door) exec(sql string, args ...any) {
	d.f.tb.Helper()
	err := dbctx.Run(d.f.tb.Context(), d.db, func(ctx context.Context, tx *dbctx.Tx) error {
		_, err := tx.Exec(ctx, sql, args...)
		return err
	})
	if err != nil {
		d.f.tb.Fatal(err)
	}
}

// csv writes a file of so many people, each another.
func (f *fleet) csv(rows int) string {
	f.tb.Helper()
	var text strings.Builder
	text.WriteString("email,name,phone,company,country\n")
	for i := range rows {
		fmt.Fprintf(&text, "row%d@example.com,Row %d,+44 7400 %06d,Row %d Ltd,GB\n", i, i, i, i%500)
	}
	path := filepath.Join(f.folder, "rows.csv")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		f.tb.Fatal(err)
	}
	return path
}

func quantile(of []time.Duration, percent int) time.Duration {
	slices.Sort(of)
	return of[len(of)*percent/100]
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
