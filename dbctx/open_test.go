package dbctx_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/leadmill/leadmill/dbctx"
)

func contains(err error, text string) bool { return strings.Contains(fmt.Sprint(err), text) }

func TestEveryMistakeInTheURLIsSaid(t *testing.T) {
	folder := t.TempDir()
	for url, want := range map[string]string{
		"":                              "it is empty",
		"leads.db":                      "has no scheme",
		"u:s3cr@://h/db":                "has no scheme",
		"postgresql://u:1?s3cr@h/d":     "a special character is written as %40",
		"postgresql://h/d?sslmode=s3cr": "sslmode",
		"mysql://u@h/db":                `the scheme "mysql" is not known; want sqlite:///`,
		"sqlite://leads.db":             "three slashes",
		"sqlite:///:memory:":            "name a file",
		"postgresql://u:s%zz@h/db":      "a special character is written as %40",
		"postgresql://u:s3cr@h:x/d":     "",
	} {
		_, err := dbctx.Open(t.Context(), url, dbctx.Pool{})
		if !errors.Is(err, dbctx.ErrURL) || !strings.Contains(fmt.Sprint(err), want) || strings.Contains(fmt.Sprint(err), "s3cr") {
			t.Errorf("Open(%q) = %v, want ErrURL with %q and no password", url, err, want)
		}
	}
	text := filepath.Join(folder, "text.db")
	if err := os.WriteFile(text, bytes.Repeat([]byte("no database "), 100), 0o600); err != nil {
		t.Fatal(err)
	}
	for url, want := range map[string]string{
		"sqlite:///" + filepath.Join(folder, "no", "leads.db"): "there is no folder",
		"sqlite:///" + folder: "is a folder",
		"sqlite:///" + text:   "not a database",
	} {
		_, err := dbctx.Open(t.Context(), url, dbctx.Pool{})
		if !errors.Is(err, dbctx.ErrUnreachable) || !dbctx.IsUnavailable(err) || !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("Open(%q) = %v, want ErrUnreachable with %q", url, err, want)
		}
	}
}

func TestEveryFormOfTheURLIsTaken(t *testing.T) {
	plain := databases.URL(t, dbctx.Postgres)
	rest := strings.TrimPrefix(plain, "postgresql://")
	for _, scheme := range []string{"postgresql", "postgres", "postgresql+psycopg2", "postgresql+psycopg", "postgresql+asyncpg"} {
		db, err := dbctx.Open(t.Context(), scheme+"://"+rest, dbctx.Pool{Size: 1})
		if err != nil {
			t.Errorf("%s: %v", scheme, err)
			continue
		}
		db.Close()
	}
	t.Chdir(t.TempDir())
	for _, path := range []string{"./leads.db", "leads2.db", "my #1 %41 leads.db", filepath.Join(t.TempDir(), "abs.db")} {
		db, err := dbctx.Open(t.Context(), "sqlite:///"+path, dbctx.Pool{})
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		if db.SQLitePath() != path || db.String() != "sqlite:///"+path {
			t.Errorf("path %q, shown as %s; want %q", db.SQLitePath(), db, path)
		}
		db.Close()
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
}

func TestAMissingDatabaseIsSaidAtOnce(t *testing.T) {
	url := databases.URL(t, dbctx.Postgres) + "_missing"
	start := time.Now()
	_, err := dbctx.Open(t.Context(), url, dbctx.Pool{Size: 1, ConnectDelay: time.Hour})
	if !errors.Is(err, dbctx.ErrUnreachable) || !strings.Contains(fmt.Sprint(err), "no database of that name") {
		t.Errorf("Open = %v after %s, want the missing database named", err, time.Since(start))
	}
}

func TestFiveAttemptsAreMadeAtAServerThatIsAway(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	var log bytes.Buffer
	_, err = dbctx.Open(t.Context(), "postgresql://u:s3cr@"+address+"/db", dbctx.Pool{
		ConnectDelay: time.Millisecond, Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	if !errors.Is(err, dbctx.ErrUnreachable) || strings.Contains(fmt.Sprint(err), "s3cr") {
		t.Errorf("Open = %v, want ErrUnreachable without the password", err)
	}
	if got := strings.Count(log.String(), "does not answer yet"); got != 4 {
		t.Errorf("%d attempts were followed by another, want 4 of 5:\n%s", got, &log)
	}
}

// A server that refuses is a fake: the temporary one trusts everybody.
func TestARefusalIsSaidAtOnceAndTheRestIsWaitedFor(t *testing.T) {
	for _, answer := range []struct {
		code, want string
		waits      int
	}{
		{"28P01", "check both in DATABASE_URL", 0},
		{"28000", "pg_hba.conf", 0},
		{"3D000", "createdb", 0},
		{"42501", "GRANT CONNECT", 0},
		{"57P03", "57P03", 2},
		{"53300", "53300", 2},
	} {
		address := refuse(t, answer.code)
		var log bytes.Buffer
		_, err := dbctx.Open(t.Context(), "postgresql://u:s3cr@"+address+"/db", dbctx.Pool{
			ConnectAttempts: 3, ConnectDelay: time.Millisecond, Logger: slog.New(slog.NewTextHandler(&log, nil)),
		})
		if !errors.Is(err, dbctx.ErrUnreachable) || !dbctx.IsUnavailable(err) || !contains(err, answer.want) || contains(err, "s3cr") {
			t.Errorf("%s: Open = %v, want ErrUnreachable with %q and no password", answer.code, err, answer.want)
		}
		if got := strings.Count(log.String(), "does not answer yet"); got != answer.waits || strings.Contains(log.String(), "s3cr") {
			t.Errorf("%s: waited %d times, want %d:\n%s", answer.code, got, answer.waits, &log)
		}
	}
}

// refuse is a server that answers every start-up with an error.
func refuse(t *testing.T, code string) (address string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			server := pgproto3.NewBackend(c, c)
			if first, _ := server.ReceiveStartupMessage(); first != nil {
				if _, tls := first.(*pgproto3.SSLRequest); tls {
					_, _ = c.Write([]byte("N"))
					_, _ = server.ReceiveStartupMessage()
				}
				server.Send(&pgproto3.ErrorResponse{Severity: "FATAL", SeverityUnlocalized: "FATAL", Code: code, Message: "no"})
				_ = server.Flush()
			}
			c.Close()
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return l.Addr().String()
}

func TestADatabaseThatAppearsAtTheFourthAttemptIsOpened(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := proxyOf(t, databases.URL(t, dbctx.Postgres), l.Addr())
	l.Close()
	attempts := 0
	appear := func() {
		if attempts++; attempts == 3 {
			l, err := net.Listen("tcp", l.Addr().String())
			if err != nil {
				t.Error(err)
				return
			}
			p.listen(t, l)
		}
	}
	db, err := dbctx.Open(t.Context(), p.url, dbctx.Pool{Size: 1, ConnectDelay: time.Millisecond, Logger: slog.New(onLog(appear))})
	if err != nil || attempts != 3 {
		t.Fatalf("Open = %v after %d attempts that failed, want a database after 3", err, attempts)
	}
	t.Cleanup(db.Close)
	expect(t, db)
}

// onLog is a handler that only notices that something is logged.
type onLog func()

func (onLog) Enabled(context.Context, slog.Level) bool    { return true }
func (f onLog) Handle(context.Context, slog.Record) error { f(); return nil }
func (f onLog) WithAttrs([]slog.Attr) slog.Handler        { return f }
func (f onLog) WithGroup(string) slog.Handler             { return f }

func TestOpenStopsWaitingWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	_, err := dbctx.Open(ctx, "postgresql://u:s3cr@"+refuse(t, "57P03")+"/db", dbctx.Pool{
		ConnectDelay: time.Hour, Logger: slog.New(onLog(cancel)),
	})
	if !errors.Is(err, context.Canceled) || !errors.Is(err, dbctx.ErrUnreachable) {
		t.Errorf("Open = %v, want Canceled and ErrUnreachable", err)
	}
}

func TestAServerWithoutTLSIsSaid(t *testing.T) {
	url := databases.URL(t, dbctx.Postgres) + "?sslmode=require"
	_, err := dbctx.Open(t.Context(), url, dbctx.Pool{Size: 1, ConnectAttempts: 1})
	if !errors.Is(err, dbctx.ErrUnreachable) || !contains(err, "TLS") {
		t.Errorf("Open = %v, want the missing TLS named", err)
	}
}

func TestSQLiteIsSetAsPromised(t *testing.T) {
	want := map[string]string{"journal_mode": "wal", "busy_timeout": "10000", "foreign_keys": "1"}
	for durable, level := range map[bool]string{false: "1", true: "2"} {
		want["synchronous"] = level
		db, err := dbctx.Open(t.Context(), databases.URL(t, dbctx.SQLite), dbctx.Pool{Durable: durable})
		if err != nil {
			t.Fatal(err)
		}
		err = dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
			for name, value := range want {
				var got string
				if err := tx.QueryRow(ctx, "PRAGMA "+name).Scan(&got); err != nil || got != value {
					t.Errorf("durable %v: %s = %s, %v; want %s", durable, name, got, err, value)
				}
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		db.Close()
	}
}
