package leadmill_test

import (
	"database/sql"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/faulttest"
)

// A file is read by processes that are killed at random moments, and goes on at the exact row.

var kills = flag.Int("resume.kills", 3, "how often readers are killed, on each database")

func TestAnImportWhoseReadersAreKilledGoesOnAtTheExactRow(t *testing.T) {
	for _, d := range []dbctx.Dialect{dbctx.SQLite, dbctx.Postgres} {
		t.Run(string(d), func(t *testing.T) {
			t.Parallel()
			r := newReading(t, unmigrated.URL(t, d))
			for file := 1; r.killed < *kills; file++ {
				r.file(file)
			}
			t.Logf("killed %d times", r.killed)
		})
	}
}

// reading is a fleet that reads files: the processes that read are killed, the one that processes the rows is not.
type reading struct {
	*testing.T
	fleet  *fleet
	db     *sql.DB
	reader *exec.Cmd
	killed int
}

func newReading(t *testing.T, url string) *reading {
	r := &reading{T: t, fleet: &fleet{tb: t, folder: t.TempDir()}}
	r.fleet.build()
	r.fleet.environ = append(os.Environ(), "PATH="+r.fleet.folder+":"+os.Getenv("PATH"), "DATABASE_URL="+url,
		"DB_POOL_SIZE=2", "DB_MAX_OVERFLOW=10", "LOG_LEVEL=error")
	r.fleet.run("leadmill migrate up")
	db, err := faulttest.Open(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	r.db = db
	r.fleet.start("leadmill worker --queues live,bulk")
	return r
}

// fileRows are enough for some kills.
const fileRows = 12_345

func (r *reading) file(no int) {
	r.Helper()
	var rows strings.Builder
	rows.WriteString("Email,No\n")
	for i := range fileRows {
		fmt.Fprintf(&rows, "p%d@file%d.example.com,%d\n", i+1, no, i+1)
	}
	path := filepath.Join(r.fleet.folder, fmt.Sprintf("file%d.csv", no))
	if err := os.WriteFile(path, []byte(rows.String()), 0o600); err != nil {
		r.Fatal(err)
	}
	id := r.take(path)
	r.reader = r.fleet.start("leadmill worker --queues files")
	for r.killed < *kills && r.getsOn(id) {
		<-time.After(rand.N(300 * time.Millisecond)) // it is somewhere
		r.kill()
	}
	until(r, "the end of the file", func() bool { return r.number(`SELECT count(*) FROM imports WHERE state = 'done' AND id = $1`, id) == 1 })
	r.killReader()
	r.hasEveryRowOnce(id)
	until(r, "the verdicts", func() bool {
		return r.number(`SELECT coalesce(sum(accepted), 0) FROM import_chunks WHERE import_id = $1`, id) == fileRows
	})
}

// take stores the file without reading it. On SQLite the command works files as well, and is killed for it.
func (r *reading) take(path string) (id int64) {
	r.Helper()
	before := r.number(`SELECT coalesce(max(id), 0) FROM imports`)
	importing := r.fleet.start("leadmill import " + path)
	until(r, "the file's import", func() bool {
		id = r.number(`SELECT coalesce(max(id), 0) FROM imports WHERE state IN ('waiting', 'reading', 'done')`)
		return id > before
	})
	_ = importing.Process.Kill()
	_ = importing.Wait()
	r.requeue()
	return id
}

// getsOn waits until the reader has stored rows since it began. False: the file is at its end.
func (r *reading) getsOn(id int64) bool {
	r.Helper()
	began, state := r.number(`SELECT rows FROM imports WHERE id = $1`, id), ""
	until(r, "rows of the reader", func() bool {
		if err := r.db.QueryRow(`SELECT state FROM imports WHERE id = $1`, id).Scan(&state); err != nil {
			return false
		}
		return state == "done" || r.number(`SELECT rows FROM imports WHERE id = $1`, id) > began
	})
	return state != "done"
}

// kill ends the reader as it stands, and lets another go on.
func (r *reading) kill() {
	r.Helper()
	r.killReader()
	r.killed++
	r.requeue()
	r.reader = r.fleet.start("leadmill worker --queues files")
}

// requeue does at once what the fleet does when a process has been silent for long enough.
func (r *reading) requeue() {
	r.Helper()
	until(r, "the database", func() bool {
		_, err := r.db.Exec(`UPDATE river_job SET state = 'available' WHERE kind = 'import_file' AND CAST(state AS text) = 'running'`)
		return err == nil
	})
}

func (r *reading) killReader() {
	_ = r.reader.Process.Kill()
	_ = r.reader.Wait()
}

func (r *reading) number(query string, args ...any) (n int64) {
	r.Helper()
	until(r, "an answer of the database", func() bool { return r.db.QueryRow(query, args...).Scan(&n) == nil })
	return n
}

func (r *reading) hasEveryRowOnce(id int64) {
	r.Helper()
	rows, err := r.db.Query(`SELECT row_no, payload FROM intakes WHERE import_id = $1 ORDER BY row_no`, id)
	if err != nil {
		r.Fatal(err)
	}
	defer rows.Close()
	n := int64(0)
	for rows.Next() {
		n++
		var no int64
		var payload string
		if err := rows.Scan(&no, &payload); err != nil {
			r.Fatal(err)
		}
		var row struct{ No string }
		if err := json.Unmarshal([]byte(payload), &row); err != nil || no != n || row.No != fmt.Sprint(n) {
			r.Fatalf("the %d. row is row %d of the file and holds %s, %v", n, no, row.No, err)
		}
	}
	if n != fileRows || rows.Err() != nil {
		r.Errorf("%d rows are stored, want %d, %v", n, fileRows, rows.Err())
	}
}
