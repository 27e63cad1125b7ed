package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/lead"
	"github.com/leadmill/leadmill/schema"
)

const snippetFolder = "../docs/snippets"

// interpreters run the snippets, by what the names of the files end in.
var interpreters = map[string]string{".sh": "sh", ".py": "python3", ".mjs": "node", ".rb": "ruby", ".php": "php"}

// busy stands before a server and sends the first two requests away; it notes what the others were answered.
type busy struct {
	next     http.Handler
	mu       sync.Mutex
	times    []time.Time
	answered []*httptest.ResponseRecorder
}

func (b *busy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.times = append(b.times, time.Now())
	switch len(b.times) {
	case 1:
		w.Header().Set("Retry-After", "1")
		writeProblem(w, newProblem(http.StatusServiceUnavailable, "the database is away; send it again"))
	case 2:
		w.Header().Set("Retry-After", "0")
		writeProblem(w, newProblem(http.StatusTooManyRequests, "the source sends more than its limit; send it again later"))
	default:
		rec := httptest.NewRecorder()
		b.next.ServeHTTP(rec, r)
		b.answered = append(b.answered, rec)
		for name, values := range rec.Header() {
			w.Header()[name] = values
		}
		w.WriteHeader(rec.Code)
		_, _ = w.Write(rec.Body.Bytes())
	}
}

// seen are the requests so far: when each came, and what those that got through were answered.
func (b *busy) seen() ([]time.Time, []*httptest.ResponseRecorder) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.times, b.answered
}

// runSnippet runs a program with nothing in its environment but PATH and this, and returns what it prints and its exit code.
func runSnippet(t *testing.T, interpreter, file string, environ ...string) (stdout, stderr string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute) // only a hang takes that long
	defer cancel()
	c := exec.CommandContext(ctx, interpreter, filepath.Join(snippetFolder, file))
	c.Env = append(environ, "PATH="+os.Getenv("PATH"), "HOME="+t.TempDir())
	var out, complaints bytes.Buffer
	c.Stdout, c.Stderr = &out, &complaints
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), complaints.String(), c.ProcessState.ExitCode()
}

// interpreterOf skips the test where the program that runs a snippet is missing.
func interpreterOf(t *testing.T, file string) string {
	t.Helper()
	needs := []string{interpreters[filepath.Ext(file)]}
	if filepath.Ext(file) == ".sh" {
		needs = append(needs, "curl")
	}
	for _, program := range needs {
		if exec.Command(program, "--version").Run() != nil && program != "sh" {
			t.Skipf("%s is not run: there is no %s here", file, program)
		}
	}
	return needs[0]
}

func TestSnippetsSendALeadOnceAndTryAgainWhenTold(t *testing.T) {
	t.Parallel()
	for _, s := range reference().Snippets {
		t.Run(s.File, func(t *testing.T) {
			t.Parallel()
			interpreter := interpreterOf(t, s.File)
			apiDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
				c := newCounter(t, db)
				front := &busy{next: c.server.Handler()}
				h := httptest.NewServer(front)
				t.Cleanup(h.Close)
				environ := []string{"LEADMILL_URL=" + h.URL, "LEADMILL_KEY=" + c.key}
				first, complaints, code := runSnippet(t, interpreter, s.File, environ...)
				var a accepted
				if err := json.Unmarshal([]byte(first), &a); err != nil || code != 0 {
					t.Fatalf("it prints %q and %q, and ends with %d", first, complaints, code)
				}
				times, _ := front.seen()
				if waited := times[1].Sub(times[0]); waited < time.Second {
					t.Errorf("it came again after %s, want the second that it was asked to wait", waited)
				}
				again, _, _ := runSnippet(t, interpreter, s.File, environ...)
				_, answered := front.seen()
				if again != first || answered[1].Header().Get("Idempotency-Replayed") != "true" {
					t.Errorf("the second run prints %q, the first %q; want a replay", again, first)
				}
				if n := c.stored(); n != 2 {
					t.Errorf("%d rows are stored by two runs, want one intake and its job", n)
				}
				c.work()
				c.run(func(ctx context.Context, tx *dbctx.Tx) error {
					in, err := schema.GetIntake(ctx, tx, id(a.ID))
					if err != nil {
						return err
					}
					if in.Status != lead.Accepted || in.Source != "form" {
						t.Errorf("intake = %s from %s, want accepted from form", in.Status, in.Source)
					}
					l, err := schema.GetLead(ctx, tx, in.LeadID)
					if l.Value("email") != "ada@example.com" || l.Value("name") != "Ada Lovelace" || l.Value("phone") != "+442079460123" ||
						l.Extra["utm_source"] != "newsletter" {
						t.Errorf("lead = %v and %v", l.Fields, l.Extra)
					}
					return err
				})
			})
		})
	}
}

func TestSnippetsSayWhatIsWrongAndDoNotTryAgain(t *testing.T) {
	t.Parallel()
	for _, s := range reference().Snippets {
		t.Run(s.File, func(t *testing.T) {
			t.Parallel()
			interpreter := interpreterOf(t, s.File)
			c := newCounter(t, apiDatabases.Open(t, dbctx.SQLite))
			front := &busy{next: c.server.Handler(), times: make([]time.Time, 2)} // not busy any more
			h := httptest.NewServer(front)
			t.Cleanup(h.Close)
			stdout, stderr, code := runSnippet(t, interpreter, s.File, "LEADMILL_URL="+h.URL, "LEADMILL_KEY=wrong")
			_, answered := front.seen()
			if code != 1 || stdout != "" || !strings.Contains(stderr, "Authorization: Bearer") || len(answered) != 1 {
				t.Errorf("it prints %q and %q, ends with %d after %d tries; want the problem, 1 and one try", stdout, stderr, code, len(answered))
			}
		})
	}
}

// python is one that has SQLAlchemy and a driver.
func python(t *testing.T) string {
	for _, program := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(program, "-c", "import sqlalchemy, psycopg2").Run() == nil {
			return program
		}
	}
	t.Skip("no SQLAlchemy here: apt-get install -y --no-install-recommends python3-sqlalchemy python3-psycopg2")
	return ""
}

func TestALeadFromSQLAlchemyFollowsItsSession(t *testing.T) {
	t.Parallel()
	interpreter := python(t)
	url := apiDatabases.URL(t, dbctx.Postgres)
	db, err := dbctx.Open(t.Context(), url, dbctx.Pool{Size: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	c := newCounter(t, db)
	c.run(func(ctx context.Context, tx *dbctx.Tx) error {
		_, err := schema.EnsureSource(ctx, tx, "web-form", time.Now())
		return err
	})
	var printed [2]string
	for i := range printed {
		out, complaints, code := runSnippet(t, interpreter, reference().SQL.File, "DATABASE_URL="+url+"?options=-c%20role%3Dleadmill_producer")
		if printed[i] = strings.TrimSpace(out); code != 0 {
			t.Fatalf("run %d ends with %d: %s", i+1, code, complaints)
		}
	}
	if printed[0] != printed[1] {
		t.Errorf("two runs print %q, want the same intake", printed)
	}
	if n := c.stored(); n != 2 {
		t.Errorf("%d rows are stored, want one intake and its job, and nothing of what was rolled back", n)
	}
	c.work()
	c.run(func(ctx context.Context, tx *dbctx.Tx) error {
		in, err := schema.GetIntake(ctx, tx, id(printed[0]))
		if err != nil {
			return err
		}
		if in.Status != lead.Accepted || in.Source != "web-form" {
			t.Errorf("intake = %s from %s, want accepted from web-form", in.Status, in.Source)
		}
		return nil
	})
}
