package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/dbctx/dbctxtest"
	"github.com/leadmill/leadmill/jobs"
	"github.com/leadmill/leadmill/schema"
)

var (
	migrated = dbctxtest.New("cmd", jobs.Migrate)
	empty    = dbctxtest.New("cmdempty", nil)
)

func TestMain(m *testing.M) { dbctxtest.Main(m) }

// result is what a command did.
type result struct {
	code           int
	stdout, stderr string
}

// leadmill runs a command in an environment of its own.
func leadmill(t *testing.T, environ []string, stdin string, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), args, environ, strings.NewReader(stdin), &stdout, &stderr)
	return result{code, stdout.String(), stderr.String()}
}

func on(url string) []string { return []string{"DATABASE_URL=" + url} }

// want fails the test unless the command ended with that code, and returns its output.
func (r result) want(t *testing.T, code int) result {
	t.Helper()
	if r.code != code {
		t.Fatalf("exit code %d, want %d\nstdout: %s\nstderr: %s", r.code, code, r.stdout, r.stderr)
	}
	return r
}

// decode reads stdout as one JSON value.
func decode[T any](t *testing.T, r result) (v T) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(r.stdout))
	if err := d.Decode(&v); err != nil || d.More() {
		t.Fatalf("stdout is not one JSON value: %v\n%s", err, r.stdout)
	}
	return v
}

// eachURL runs fn with the URL of a fresh migrated database of each kind.
func eachURL(t *testing.T, fn func(t *testing.T, url string)) {
	for _, d := range []dbctx.Dialect{dbctx.SQLite, dbctx.Postgres} {
		t.Run(string(d), func(t *testing.T) {
			t.Parallel()
			fn(t, migrated.URL(t, d))
		})
	}
}

func TestEveryCommandHasHelpWithAnExampleThatFitsTheScreen(t *testing.T) {
	secret := "postgresql://app:s3cret@db.example/leads"
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		path := strings.Fields(c.CommandPath())[1:]
		if c.Short == "" || c.Example == "" {
			t.Errorf("%s: want a line of help and an example", c.CommandPath())
		}
		r := leadmill(t, on(secret), "", append(path, "--help")...).want(t, exitDone)
		for line := range strings.Lines(r.stdout) {
			if utf8.RuneCountInString(line) > 81 {
				t.Errorf("%s --help: a line of more than 80 characters: %q", c.CommandPath(), line)
			}
		}
		if strings.Contains(r.stdout, "s3cret") {
			t.Errorf("%s --help shows the password", c.CommandPath())
		}
		for _, sub := range c.Commands() {
			if sub.Name() != "completion" && sub.Name() != "help" {
				walk(sub)
			}
		}
	}
	a := &app{stdout: &bytes.Buffer{}, stderr: &bytes.Buffer{}}
	walk(a.commands())
}

func TestMistakesAreUsage(t *testing.T) {
	for name, c := range map[string]struct {
		environ []string
		args    []string
		says    string
	}{
		"unknown command": {nil, []string{"fly"}, "fly"},
		"unknown flag":    {nil, []string{"version", "--fly"}, "--fly"},
		"argument":        {nil, []string{"import"}, "arg"},
		"pool size":       {[]string{"DB_POOL_SIZE=many"}, []string{"version"}, "DB_POOL_SIZE cannot be read: want a whole number"},
		"least":           {[]string{"DB_POOL_SIZE=0"}, []string{"version"}, "DB_POOL_SIZE is 0, want at least 1"},
		"duration":        {[]string{"DB_CONNECT_DELAY=soon"}, []string{"version"}, "DB_CONNECT_DELAY cannot be read"},
		"bool":            {[]string{"DEBUG=perhaps"}, []string{"version"}, "DEBUG cannot be read: want true or false"},
		"level":           {[]string{"LOG_LEVEL=loud"}, []string{"version"}, "LOG_LEVEL"},
		"scheme":          {on("mysql://u:s3cret@h/d"), []string{"leads", "list"}, "mysql"},
		"queue":           {nil, []string{"worker", "--queues", "fast"}, `"fast"`},
		"plain http":      {nil, []string{"destination", "add", "x", "--url", "http://crm.example/"}, "https"},
		"role":            {nil, []string{"user", "add", "a@example.com", "--role", "king"}, "king"},
	} {
		t.Run(name, func(t *testing.T) {
			r := leadmill(t, c.environ, "", c.args...).want(t, exitUsage)
			if !strings.Contains(r.stderr, c.says) || strings.Contains(r.stderr, "s3cret") || r.stdout != "" {
				t.Errorf("stderr %q and stdout %q, want %q on stderr alone and no secret", r.stderr, r.stdout, c.says)
			}
		})
	}
}

func TestPythonsTrueIsTrue(t *testing.T) {
	r := leadmill(t, []string{"DEBUG=True", "DB_POOL_PRE_PING=False"}, "", "config", "--json").want(t, exitDone)
	for _, s := range decode[[]setting](t, r) {
		if s.Name == "DEBUG" && s != (setting{"DEBUG", "true", "environment"}) {
			t.Errorf("DEBUG = %+v", s)
		}
	}
}

func TestSettingsComeFromFlagsOverTheEnvironmentOverTheFile(t *testing.T) {
	t.Chdir(t.TempDir())
	file := "DATABASE_URL=sqlite:///./file.db\nDB_POOL_SIZE=7\nLOG_LEVEL=warn\n"
	if err := os.WriteFile(".env", []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	r := leadmill(t, []string{"LOG_LEVEL=error"}, "", "config", "--json", "--database-url", "postgresql://app:s3cret@db/leads?password=s3cret").want(t, exitDone)
	got := map[string]setting{}
	for _, s := range decode[[]setting](t, r) {
		got[s.Name] = s
	}
	for _, want := range []setting{
		{"DATABASE_URL", "postgresql://app:***@db/leads", "flag"}, {"LOG_LEVEL", "error", "environment"},
		{"DB_POOL_SIZE", "7", ".env"}, {"DB_MAX_OVERFLOW", "40", "default"},
	} {
		if got[want.Name] != want {
			t.Errorf("%s = %+v, want %+v", want.Name, got[want.Name], want)
		}
	}
	if strings.Contains(r.stdout, "s3cret") {
		t.Error("config shows the password")
	}
}

func TestADatabaseThatIsAwayIsFive(t *testing.T) {
	environ := append(on("postgresql://app:s3cret@"+nobody(t)+"/leads"), "DB_CONNECT_ATTEMPTS=2", "DB_CONNECT_DELAY=1ms")
	for _, command := range [][]string{{"leads", "list"}, {"web"}, {"worker"}, {"migrate", "up"}, {"status"}} {
		r := leadmill(t, environ, "", command...).want(t, exitUnreachable)
		if strings.Contains(r.stderr, "s3cret") {
			t.Errorf("%v shows the password: %s", command, r.stderr)
		}
	}
	r := leadmill(t, environ, "", "doctor").want(t, exitFailed)
	if !strings.Contains(r.stdout, "cure:") || strings.Contains(r.stdout, "s3cret") {
		t.Errorf("doctor says %s, want a cure and no password", r.stdout)
	}
}

func TestWebAndWorkerRefusePendingMigrations(t *testing.T) {
	url := empty.URL(t, dbctx.Postgres)
	for _, command := range []string{"web", "worker"} {
		r := leadmill(t, append(on(url), "ADDR=127.0.0.1:0"), "", command).want(t, exitPending)
		if !strings.Contains(r.stderr, "leadmill migrate up") {
			t.Errorf("%s says %q, want the cure", command, r.stderr)
		}
	}
}

func TestFourProcessesMigrateAtOnce(t *testing.T) {
	for _, d := range []dbctx.Dialect{dbctx.SQLite, dbctx.Postgres} {
		t.Run(string(d), func(t *testing.T) {
			url := empty.URL(t, d)
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					if r := leadmill(t, on(url), "", "migrate", "up", "--wait", "5s"); r.code != exitDone {
						t.Errorf("exit code %d: %s", r.code, r.stderr)
					}
				})
			}
			wg.Wait()
			for range 5 {
				leadmill(t, on(url), "", "migrate", "up").want(t, exitDone)
			}
			for _, m := range decode[[]migration](t, leadmill(t, on(url), "", "migrate", "status", "--json").want(t, exitDone)) {
				if !m.Applied {
					t.Errorf("%s is pending", m.Name)
				}
			}
		})
	}
}

func TestDevOnceBringsTheSampleThrough(t *testing.T) {
	want := expectedCounts(t)
	t.Chdir(t.TempDir())
	got := decode[schema.FunnelCounts](t, leadmill(t, nil, "", "dev", "--once", "--json").want(t, exitDone))
	if got.Counts != want {
		t.Errorf("funnel = %+v, want what the generator planted, %+v", got.Counts, want)
	}
	if sum := got.Accepted + got.Duplicate + got.Rejected + got.Quarantined; sum != 500 || got.Rows != 500 {
		t.Errorf("%d rows, and verdicts on %d; want 500", got.Rows, sum)
	}
	if got.Scored != got.Accepted || got.Owned != got.Accepted || got.Delivered != got.Accepted {
		t.Errorf("%d scored, %d owned, %d delivered; want every one of %d", got.Scored, got.Owned, got.Delivered, got.Accepted)
	}
	again := decode[schema.FunnelCounts](t, leadmill(t, nil, "", "dev", "--once", "--json").want(t, exitDone))
	if again != got {
		t.Errorf("a second run changed the funnel to %+v", again)
	}
}

func TestSourcesUsersAndDestinationsAreMadeOnce(t *testing.T) {
	eachURL(t, func(t *testing.T, url string) {
		made := decode[map[string]string](t, leadmill(t, on(url), "", "source", "add", "form", "--country", "Germany", "--json").want(t, exitDone))
		if made["name"] != "form" || !strings.HasPrefix(made["key"], "lmk_") {
			t.Errorf("source add = %v, want its name and key", made)
		}
		leadmill(t, on(url), "", "source", "add", "form").want(t, exitFailed)
		rotated := decode[map[string]string](t, leadmill(t, on(url), "", "source", "rotate", "form", "--json").want(t, exitDone))
		if rotated["key"] == made["key"] || rotated["key"] == "" {
			t.Error("rotate gave no new key")
		}
		leadmill(t, on(url), "", "source", "rotate", "nobody").want(t, exitNotFound)

		leadmill(t, on(url), "correct horse battery\n", "user", "add", "Ada@Example.com", "--role", "admin", "--password-stdin").want(t, exitDone)
		leadmill(t, on(url), "short\n", "user", "add", "bob@example.com", "--password-stdin").want(t, exitUsage)
		leadmill(t, on(url), "", "user", "add", "bob@example.com").want(t, exitUsage)
		users := decode[[]userLine](t, leadmill(t, on(url), "", "user", "list", "--json").want(t, exitDone))
		if len(users) != 1 || users[0].Email != "ada@example.com" || users[0].Role != "admin" {
			t.Errorf("users = %+v, want ada alone", users)
		}

		d := decode[map[string]string](t, leadmill(t, on(url), "", "destination", "add", "crm", "--url", "https://crm.example/h", "--json").want(t, exitDone))
		if d["name"] != "crm" || !strings.HasPrefix(d["secret"], "whsec_") {
			t.Errorf("destination add = %v, want its name and secret", d)
		}
		if list := leadmill(t, on(url), "", "destination", "list").want(t, exitDone).stdout; strings.Contains(list, "whsec_") {
			t.Error("destination list shows the secret")
		}
		leadmill(t, on(url), "", "destination", "add", "erp", "--url", "https://erp.example/h", "--not-idempotent", "--rate", "0.5").want(t, exitDone)
		leadmill(t, on(url), "", "destination", "limit", "crm", "--rate", "20", "--concurrency", "3").want(t, exitDone)
		leadmill(t, on(url), "", "destination", "limit", "nobody").want(t, exitNotFound)
		leadmill(t, on(url), "", "destination", "limit", "crm", "--rate", "-1").want(t, exitUsage)
		list := leadmill(t, on(url), "", "destination", "list").want(t, exitDone).stdout
		for _, words := range []string{"20 a second, 3 at once", "0.5 a second", "never", "same key"} {
			if !strings.Contains(list, words) {
				t.Errorf("destination list lacks %q:\n%s", words, list)
			}
		}
		leadmill(t, on(url), "", "delivery", "list").want(t, exitDone)
		leadmill(t, on(url), "", "delivery", "retry", "1").want(t, exitNotFound)
		leadmill(t, on(url), "", "delivery", "delivered", "1").want(t, exitNotFound)
		leadmill(t, on(url), "", "delivery", "delivered", "x").want(t, exitUsage)
		leadmill(t, on(url), "", "doctor").want(t, exitDone)
	})
}

const messy = "E-Mail;Vorname;Nachname\r\nada@example.com;ada;lovelace\r\nADA@example.com ;;\r\n=nowhere;\"Grace \"\"x\"\"\";Hopper\r\n"

func TestImportFollowsToTheVerdictsAndWritesTheRejectedRows(t *testing.T) {
	url := migrated.URL(t, dbctx.SQLite)
	path := filepath.Join(t.TempDir(), "list.csv")
	if err := os.WriteFile(path, []byte(messy), 0o600); err != nil {
		t.Fatal(err)
	}
	dry := decode[dryResult](t, leadmill(t, on(url), "", "import", path, "--dry-run", "--json").want(t, exitDone))
	want := schema.Counts{Rows: 3, Accepted: 1, Duplicate: 1, Rejected: 1}
	if dry.Counts != want || dry.Columns[0].Field != "email" || len(dry.Problems) != 1 || dry.Problems[0].Code != "no_at" {
		t.Errorf("dry run = %+v, want %+v and the problem of row 3", dry, want)
	}
	first := decode[imported](t, leadmill(t, on(url), "", "import", path, "--source", "fair", "--wait", "--json").want(t, exitPartial))
	if first.Counts != want || first.ImportID == "" || first.RejectedFile != path+".rejected.csv" || first.Existed {
		t.Errorf("import = %+v, want %+v and the rejected file", first, want)
	}
	rejected, err := os.ReadFile(first.RejectedFile)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(rejected), "\ufeffE-Mail,Vorname,Nachname,rejected_because\n'=nowhere,\"Grace \"\"x\"\"\",Hopper,The e-mail address has no @.\n"; got != want {
		t.Errorf("rejected rows:\n%s\nwant:\n%s", got, want)
	}
	if err := os.WriteFile(first.RejectedFile, []byte("half mended"), 0o600); err != nil {
		t.Fatal(err)
	}
	again := decode[imported](t, leadmill(t, on(url), "", "import", path, "--source", "fair", "--json").want(t, exitPartial))
	if !again.Existed || again.ImportID != first.ImportID || again.Counts != want {
		t.Errorf("the same file again = %+v, want import %s and nothing new", again, first.ImportID)
	}
	mended, err := os.ReadFile(first.RejectedFile)
	if err != nil || string(mended) != "half mended" || again.RejectedFile != path+".rejected-2.csv" {
		t.Errorf("what somebody mends is %q, %v; the rejected rows are in %s, want them beside it", mended, err, again.RejectedFile)
	}
	shown := leadmill(t, on(url), "", "leads", "show", "ada@example.com", "--json").want(t, exitDone)
	if s := decode[story](t, shown); s.Submissions != 2 || len(s.Events) == 0 {
		t.Errorf("lead = %+v, want two submissions and a story", s)
	}
	leadmill(t, on(url), "", "leads", "show", "nobody@example.com").want(t, exitNotFound)
	leadmill(t, on(url), "", "leads", "show", "999").want(t, exitNotFound)
	leadmill(t, on(url), "", "import", path+".missing").want(t, exitUsage)
}

func TestImportsAreListedSteeredAndUndone(t *testing.T) {
	eachURL(t, func(t *testing.T, url string) {
		path := filepath.Join(t.TempDir(), "list.csv")
		if err := os.WriteFile(path, []byte(messy), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, arg := range [][]string{{"pause"}, {"resume"}, {"cancel"}, {"revert"}, {"show"}, {"rejected"}} {
			leadmill(t, on(url), "", "import", arg[0], "7").want(t, exitNotFound)
			leadmill(t, on(url), "", "import", arg[0], "seven").want(t, exitUsage)
		}
		leadmill(t, on(url), "", "import", path, "--map", "E-Mail=fax").want(t, exitUsage)
		leadmill(t, on(url), "", "import", path, "--map", "Fax=phone").want(t, exitUsage)
		leadmill(t, on(url), "", "import", path, "--encoding", "klingon").want(t, exitFailed)
		if list := decode[[]imported](t, leadmill(t, on(url), "", "import", "list", "--json").want(t, exitDone)); len(list) != 0 {
			t.Fatalf("imports that were refused are there: %+v", list)
		}
		code := exitDone
		if strings.HasPrefix(url, "sqlite") { // the command works the rows itself
			code = exitPartial
		}
		first := decode[imported](t, leadmill(t, on(url), "", "import", path, "--map", "Nachname=-", "--json").want(t, code))
		if code == exitDone {
			leadmill(t, on(url), "", "import", "pause", first.ImportID).want(t, exitDone)
			leadmill(t, on(url), "", "import", "pause", first.ImportID).want(t, exitNotFound)
			leadmill(t, on(url), "", "import", "resume", first.ImportID).want(t, exitDone)
			leadmill(t, on(url), "", "import", "cancel", first.ImportID).want(t, exitDone)
			leadmill(t, on(url), "", "import", "revert", first.ImportID).want(t, exitDone)
			return
		}
		shown := decode[importDetails](t, leadmill(t, on(url), "", "import", "show", first.ImportID, "--json").want(t, exitDone))
		if shown.Mapping["Nachname"] != "-" || shown.Format.Delimiter != ";" || shown.Accepted != 1 || shown.State != schema.ImportDone {
			t.Errorf("show = %+v, want it done as it was ordered", shown)
		}
		rejected := leadmill(t, on(url), "", "import", "rejected", first.ImportID).want(t, exitDone).stdout
		if want := "\ufeffE-Mail,Vorname,Nachname,rejected_because\n'=nowhere,"; !strings.HasPrefix(rejected, want) {
			t.Errorf("rejected = %q, want it to begin with %q", rejected, want)
		}
		dry := decode[dryResult](t, leadmill(t, on(url), "", "import", path, "--dry-run", "--source", "import", "--json").want(t, exitDone))
		if dry.Columns[2].Field != "" || dry.Columns[2].How != "hand" || dry.First[0].Fields["email"] != "ada@example.com" {
			t.Errorf("dry run = %+v, want the column left out as it was before, and the first rows", dry)
		}
		undone := decode[imported](t, leadmill(t, on(url), "", "import", "revert", first.ImportID, "--json").want(t, exitDone))
		if undone.State != schema.ImportReverted || undone.Undone != 3 {
			t.Errorf("revert = %+v, want all 3 rows undone", undone)
		}
		if leads := leadmill(t, on(url), "", "leads", "show", "ada@example.com"); leads.code != exitNotFound {
			t.Error("the lead of an import that was undone is still there")
		}
		again := decode[imported](t, leadmill(t, on(url), "", "import", path, "--json").want(t, exitPartial))
		if again.Existed || again.ImportID == first.ImportID {
			t.Errorf("the same file after the revert = %+v, want another import", again)
		}
		for _, command := range [][]string{{"list"}, {"show", first.ImportID}, {path, "--dry-run"}} {
			for line := range strings.Lines(leadmill(t, on(url), "", append([]string{"import"}, command...)...).want(t, exitDone).stdout) {
				if utf8.RuneCountInString(line) > 81 {
					t.Errorf("import %s: a line of more than 80 characters: %q", command[0], line)
				}
			}
		}
	})
}

func TestAnImportOnPostgreSQLWaitsForAWorker(t *testing.T) {
	url := migrated.URL(t, dbctx.Postgres)
	path := filepath.Join(t.TempDir(), "list.csv")
	if err := os.WriteFile(path, []byte(messy), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan int, 1)
	go func() {
		var out bytes.Buffer
		ended <- run(ctx, []string{"worker", "--concurrency", "2"}, append(on(url), "DB_POOL_SIZE=2", "LOG_LEVEL=error"), strings.NewReader(""), &out, &out)
	}()
	got := decode[imported](t, leadmill(t, on(url), "", "import", path, "--wait", "--json").want(t, exitPartial))
	if want := (schema.Counts{Rows: 3, Accepted: 1, Duplicate: 1, Rejected: 1}); got.Counts != want {
		t.Errorf("import = %+v, want %+v", got, want)
	}
	stop()
	if code := <-ended; code != exitDone {
		t.Errorf("the worker ended with %d after the signal, want 0", code)
	}
}

func TestJobsAndCronAreListed(t *testing.T) {
	eachURL(t, func(t *testing.T, url string) {
		lines := decode[[]scheduleLine](t, leadmill(t, on(url), "", "cron", "list", "--json").want(t, exitDone))
		if len(lines) != 1 || lines[0].Name != "purge" || lines[0].NextAt == nil {
			t.Errorf("cron list = %+v, want purge and its next run", lines)
		}
		leadmill(t, on(url), "", "cron", "run", "purge").want(t, exitDone)
		leadmill(t, on(url), "", "cron", "run", "nothing").want(t, exitNotFound)
		if failed := decode[[]jobLine](t, leadmill(t, on(url), "", "jobs", "list", "--json").want(t, exitDone)); len(failed) != 0 {
			t.Errorf("jobs list = %+v, want none", failed)
		}
		leadmill(t, on(url), "", "jobs", "retry", "999").want(t, exitNotFound)
		s := decode[status](t, leadmill(t, on(url), "", "status", "--json").want(t, exitDone))
		if fmt.Sprint(s.Jobs) != "[{maintenance available 1}]" {
			t.Errorf("status shows jobs %v, want the purge that waits", s.Jobs)
		}
	})
}

func TestBenchRefusesADatabaseThatHoldsLeads(t *testing.T) {
	eachURL(t, func(t *testing.T, url string) {
		environ := append(on(url), "DB_POOL_SIZE=5")
		m := decode[measured](t, leadmill(t, environ, "", "bench", "--unit", "pipeline", "--leads", "600", "--json").want(t, exitDone))
		if m.Jobs != 600 || m.Rate <= 0 {
			t.Errorf("bench = %+v, want 600 leads at some speed", m)
		}
		s := decode[status](t, leadmill(t, environ, "", "status", "--json").want(t, exitDone))
		if s.Today.Accepted != 600 {
			t.Errorf("bench made %d leads of 600 people", s.Today.Accepted)
		}
		leadmill(t, environ, "", "bench", "--unit", "job", "--jobs", "10").want(t, exitUsage)
	})
}
