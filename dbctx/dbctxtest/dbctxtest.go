// Package dbctxtest gives tests real databases: a fresh SQLite file and a fresh PostgreSQL database for each test.
//
//	var databases = dbctxtest.New("jobs", jobs.Migrate)
//
//	func TestMain(m *testing.M) { dbctxtest.Main(m) }
//
//	func TestSomething(t *testing.T) {
//		databases.Each(t, func(t *testing.T, db *dbctx.DB) { ... })
//	}
//
// PostgreSQL is the server of TEST_DATABASE_URL, where the user may create databases, or else a temporary one of
// this process, from the programs in LEADMILL_PG_BIN, PATH or the folders of Debian. Where there is none, its
// tests are skipped with a message; LEADMILL_REQUIRE_PG=1 makes that a failure.
package dbctxtest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/leadmill/leadmill/dbctx"
)

// Template makes databases that were migrated once and copied for each test.
type Template struct {
	name    string
	migrate func(ctx context.Context, db *dbctx.DB) error // nil: the databases are empty
	server  func() (*postgres, error)

	file     func() ([]byte, error) // the migrated SQLite database
	database func() (string, error) // name of the migrated PostgreSQL database
}

// New makes a template; one for each package, in a variable. Nothing happens before its first use.
func New(name string, migrate func(ctx context.Context, db *dbctx.DB) error) *Template {
	return newTemplate(name, migrate, server)
}

// Safe are the settings of a server that loses nothing when the power fails, with room for figures to be worth something.
var Safe = []string{"fsync=on", "full_page_writes=on", "shared_buffers=1GB", "max_wal_size=4GB"}

// NewOn is New on a server of its own with these settings, for tests that measure. The server of TEST_DATABASE_URL is
// taken as it is.
func NewOn(name string, migrate func(ctx context.Context, db *dbctx.DB) error, settings ...string) *Template {
	return newTemplate(name, migrate, sync.OnceValues(func() (*postgres, error) { return findServer(settings) }))
}

func newTemplate(name string, migrate func(ctx context.Context, db *dbctx.DB) error, server func() (*postgres, error)) *Template {
	t := &Template{name: name, migrate: migrate, server: server}
	t.file = sync.OnceValues(t.makeFile)
	t.database = sync.OnceValues(t.makeDatabase)
	return t
}

// Main is for TestMain: it runs the tests, then the checks, such as one for leaks, and ends the temporary server.
func Main(m *testing.M, checks ...func() error) {
	code := m.Run()
	for _, check := range checks {
		if err := check(); err != nil && code == 0 {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	for _, end := range slices.Backward(cleanups.take()) {
		end()
	}
	os.Exit(code)
}

// cleanups run after the last test, the latest first.
var cleanups endings

type endings struct {
	mu  sync.Mutex
	all []func()
}

func (e *endings) add(end func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, end)
}

func (e *endings) take() []func() {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.all
}

// small is a pool for a test among many on one server.
var small = dbctx.Pool{Size: 1, MaxOverflow: 15, ConnectAttempts: 1}

// Each runs fn as two parallel subtests, on a fresh database of each kind.
func (t *Template) Each(tb *testing.T, fn func(t *testing.T, db *dbctx.DB)) {
	tb.Helper()
	for _, d := range []dbctx.Dialect{dbctx.SQLite, dbctx.Postgres} {
		tb.Run(string(d), func(tb *testing.T) {
			tb.Parallel()
			fn(tb, t.Open(tb, d))
		})
	}
}

// Open opens a fresh migrated database until the test ends.
func (t *Template) Open(tb testing.TB, d dbctx.Dialect) *dbctx.DB {
	tb.Helper()
	db, err := dbctx.Open(context.Background(), t.URL(tb, d), small)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(db.Close)
	return db
}

// URL is the URL of a fresh migrated database, which ends with the test. The test is skipped where there is none of
// that kind.
func (t *Template) URL(tb testing.TB, d dbctx.Dialect) string {
	tb.Helper()
	if d == dbctx.SQLite {
		return t.copyFile(tb)
	}
	if !HasPostgres(tb) {
		tb.Skip("no PostgreSQL")
	}
	return t.copyDatabase(tb)
}

// HasPostgres says whether there is a PostgreSQL. Where there is none it says once how to get it, and fails the test if
// LEADMILL_REQUIRE_PG=1.
func HasPostgres(tb testing.TB) bool {
	tb.Helper()
	_, err := server()
	if err == nil {
		return true
	}
	tell(err)
	if os.Getenv("LEADMILL_REQUIRE_PG") == "1" {
		tb.Fatal(err)
	}
	return false
}

var told sync.Once

func tell(err error) { told.Do(func() { fmt.Fprintln(os.Stderr, "dbctxtest:", err) }) }

// makeFile returns the bytes of a migrated database; none if there is nothing to migrate.
func (t *Template) makeFile() ([]byte, error) {
	if t.migrate == nil {
		return nil, nil
	}
	folder, err := os.MkdirTemp("", "leadmill-"+t.name+"-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	file := filepath.Join(folder, "template.db")
	if err := t.prepare("sqlite:///" + file); err != nil {
		return nil, err
	}
	return os.ReadFile(file)
}

// prepare migrates the database that will be copied, and leaves no connection to it.
func (t *Template) prepare(url string) error {
	if t.migrate == nil {
		return nil
	}
	db, err := dbctx.Open(context.Background(), url, small)
	if err != nil {
		return err
	}
	defer db.Close()
	return t.migrate(context.Background(), db)
}

func (t *Template) copyFile(tb testing.TB) string {
	tb.Helper()
	template, err := t.file()
	if err != nil {
		tb.Fatal(err)
	}
	fresh := filepath.Join(tb.TempDir(), "test.db")
	if err := os.WriteFile(fresh, template, 0o600); err != nil {
		tb.Fatal(err)
	}
	return "sqlite:///" + fresh
}

var databases atomic.Int64

func (t *Template) makeDatabase() (string, error) {
	s, err := t.server()
	if err != nil {
		return "", err
	}
	name, err := s.create("", t.name)
	if err != nil {
		return "", err
	}
	cleanups.add(func() { s.drop(name) })
	return name, t.prepare(s.url(name))
}

func (t *Template) copyDatabase(tb testing.TB) string {
	tb.Helper()
	template, err := t.database()
	if err != nil {
		tb.Fatal(err)
	}
	s, err := t.server()
	if err != nil {
		tb.Fatal(err)
	}
	name, err := s.create(template, t.name)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { s.drop(name) })
	return s.url(name)
}

// create makes a database, empty or as a copy, under a name that no other process of this machine uses.
func (s *postgres) create(template, label string) (string, error) {
	name := fmt.Sprintf("leadmill_%s_%d_%d", label, os.Getpid(), databases.Add(1))
	from := ""
	if template != "" {
		from = " TEMPLATE " + pgx.Identifier{template}.Sanitize()
	}
	return name, s.exec("CREATE DATABASE " + pgx.Identifier{name}.Sanitize() + from)
}

func (s *postgres) drop(name string) {
	if err := s.exec("DROP DATABASE IF EXISTS " + pgx.Identifier{name}.Sanitize() + " WITH (FORCE)"); err != nil {
		fmt.Fprintln(os.Stderr, "dbctxtest:", err)
	}
}

// exec runs one statement on the server's own database, one after the other: a template can be copied by one at a
// time.
func (s *postgres) exec(sql string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx := context.Background()
	c, err := pgx.Connect(ctx, s.url(""))
	if err != nil {
		return err
	}
	defer c.Close(ctx)
	_, err = c.Exec(ctx, sql)
	return err
}
