package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/leadmill/leadmill/dbctx"
)

// settingsOf are the lines of config in an environment.
func settingsOf(t *testing.T, environ []string) map[string]setting {
	t.Helper()
	lines := map[string]setting{}
	for _, s := range decode[[]setting](t, leadmill(t, environ, "", "config", "--json").want(t, exitDone)) {
		lines[s.Name] = s
	}
	return lines
}

func TestTheDatabaseIsSetByTheEnvironment(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, s := range []struct{ name, byDefault, given string }{
		{"DATABASE_URL", "sqlite:///./leads.db", "postgresql+psycopg2://app@db/leads"},
		{"DB_POOL_SIZE", "20", "7"},
		{"DB_MAX_OVERFLOW", "40", "0"},
		{"DB_POOL_RECYCLE", "3600", "60"},
		{"DB_POOL_PRE_PING", "true", "false"},
		{"DB_CONNECT_ATTEMPTS", "5", "1"},
		{"DB_CONNECT_DELAY", "2s", "100ms"},
		{"DEBUG", "false", "true"},
	} {
		if got, want := settingsOf(t, nil)[s.name], (setting{s.name, s.byDefault, "default"}); got != want {
			t.Errorf("in an empty environment %+v, want %+v", got, want)
		}
		if got, want := settingsOf(t, []string{s.name + "=" + s.given})[s.name], (setting{s.name, s.given, "environment"}); got != want {
			t.Errorf("with %s=%s %+v, want %+v", s.name, s.given, got, want)
		}
	}
}

// connected opens the database as every command does.
func connected(t *testing.T, stderr io.Writer, environ ...string) *dbctx.DB {
	t.Helper()
	a := &app{environ: environ, stderr: stderr}
	if err := a.load(); err != nil {
		t.Fatal(err)
	}
	db, err := a.connect(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db
}

func ask[T any](ctx context.Context, db *dbctx.DB, sql string) (answer T, err error) {
	err = dbctx.Run(ctx, db, func(ctx context.Context, tx *dbctx.Tx) error { return tx.QueryRow(ctx, sql).Scan(&answer) })
	return answer, err
}

func TestTheEnvironmentSizesThePool(t *testing.T) {
	t.Parallel()
	url := "DATABASE_URL=" + migrated.URL(t, dbctx.Postgres)
	for _, c := range []struct {
		environ []string
		want    int
	}{{nil, 60}, {[]string{"DB_POOL_SIZE=3", "DB_MAX_OVERFLOW=4"}, 7}, {[]string{"DB_POOL_SIZE=3", "DB_MAX_OVERFLOW=0"}, 3}} {
		if got := connected(t, io.Discard, append(c.environ, url)...).Stats().Max; got != c.want {
			t.Errorf("%v: at most %d connections, want %d", c.environ, got, c.want)
		}
	}
}

func TestDebugLogsEveryStatementAndItsAbsenceNone(t *testing.T) {
	eachURL(t, func(t *testing.T, url string) {
		for debug, want := range map[string]bool{"DEBUG=True": true, "DEBUG=False": false, "": false} {
			var log bytes.Buffer
			db := connected(t, &log, "DATABASE_URL="+url, "DB_POOL_SIZE=1", "DB_MAX_OVERFLOW=0", debug)
			if _, err := ask[int](t.Context(), db, `SELECT 4711`); err != nil {
				t.Fatal(err)
			}
			if got := log.String(); strings.Contains(got, "SELECT 4711") != want || !want && got != "" {
				t.Errorf("%q logs %q, want statements: %v", debug, got, want)
			}
		}
	})
}

func TestTheEnvironmentRecyclesConnections(t *testing.T) {
	t.Parallel()
	db := connected(t, io.Discard, "DATABASE_URL="+migrated.URL(t, dbctx.Postgres), "DB_POOL_SIZE=1", "DB_MAX_OVERFLOW=0", "DB_POOL_RECYCLE=1")
	pids := map[int]bool{}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); len(pids) < 2 && time.Now().Before(deadline); <-tick.C {
		pid, err := ask[int](t.Context(), db, `SELECT pg_backend_pid()`)
		if err != nil {
			t.Fatal(err)
		}
		pids[pid] = true
	}
	if len(pids) < 2 {
		t.Error("a connection of more than a second is still used")
	}
}

func TestTheEnvironmentPingsConnections(t *testing.T) {
	t.Parallel()
	url := migrated.URL(t, dbctx.Postgres)
	killer, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = killer.Close(context.Background()) })
	for setting, lives := range map[string]bool{"": true, "DB_POOL_PRE_PING=True": true, "DB_POOL_PRE_PING=False": false} {
		db := connected(t, io.Discard, "DATABASE_URL="+url, "DB_POOL_SIZE=1", "DB_MAX_OVERFLOW=0", setting)
		pid, err := ask[int](t.Context(), db, `SELECT pg_backend_pid()`)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := killer.Exec(t.Context(), `SELECT pg_terminate_backend($1, 5000)`, pid); err != nil {
			t.Fatal(err)
		}
		if _, err := ask[int](t.Context(), db, `SELECT 1`); (err == nil) != lives {
			t.Errorf("%q: the scope behind the end of its connection = %v, want it to succeed: %v", setting, err, lives)
		}
	}
}

func TestTheEnvironmentSaysHowOftenAndWhenToConnect(t *testing.T) {
	r := leadmill(t, append(on("postgresql://app@"+nobody(t)+"/leads"), "DB_CONNECT_ATTEMPTS=3", "DB_CONNECT_DELAY=7ms"), "", "leads", "list")
	r.want(t, exitUnreachable)
	if n := strings.Count(r.stderr, `"of":3,"next_in":7,`); n != 2 {
		t.Errorf("%d attempts were followed by another in 7 ms, want 2 of 3:\n%s", n, r.stderr)
	}
}

// nobody is an address where nothing answers.
func nobody(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
