package dbctx_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/leadmill/leadmill/dbctx"
)

// outside is a connection of its own, past the pool that is looked at.
func outside(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	c, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	return c
}

// backends are the process ids of the server's ends of all other connections to the database of c.
func backends(t *testing.T, c *pgx.Conn) []int32 {
	t.Helper()
	found, err := c.Query(context.Background(), `SELECT pid FROM pg_stat_activity
		WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'`)
	if err != nil {
		t.Fatal(err)
	}
	pids, err := pgx.CollectRows(found, pgx.RowTo[int32])
	if err != nil {
		t.Fatal(err)
	}
	return pids
}

// backendOf is the process id of the server's end of the connection that a scope gets.
func backendOf(ctx context.Context, db *dbctx.DB) (pid int32, err error) {
	err = dbctx.Run(ctx, db, func(ctx context.Context, tx *dbctx.Tx) error {
		return tx.QueryRow(ctx, `SELECT pg_backend_pid()`).Scan(&pid)
	})
	return pid, err
}

func openPool(t *testing.T, url string, pool dbctx.Pool) *dbctx.DB {
	t.Helper()
	db, err := dbctx.Open(t.Context(), url, pool)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db
}

func TestThePoolIsTheOneThatSQLAlchemyUsersKnow(t *testing.T) {
	t.Parallel()
	db := openPool(t, databases.URL(t, dbctx.Postgres), dbctx.Pool{})
	c := dbctx.PoolConfig(db)
	if c.MinConns != 20 || c.MaxConns != 60 {
		t.Errorf("pool of %d to %d, want 20 and 40 more", c.MinConns, c.MaxConns)
	}
	if c.MaxConnLifetime != time.Hour || c.MaxConnLifetimeJitter != 6*time.Minute {
		t.Errorf("recycled after %s and up to %s, want an hour and up to a tenth", c.MaxConnLifetime, c.MaxConnLifetimeJitter)
	}
	if c.MaxConnIdleTime != time.Minute || c.HealthCheckPeriod > time.Minute {
		t.Errorf("the surplus goes home after %s, looked for every %s; want a minute each", c.MaxConnIdleTime, c.HealthCheckPeriod)
	}
	if max := db.Stats().Max; max != 60 {
		t.Errorf("max = %d, want 60", max)
	}
	if !eventually(func() bool { return db.Stats().Open >= 20 }) {
		t.Errorf("%d connections are open, want the 20 without being asked for", db.Stats().Open)
	}
}

func TestAPoolMayLastForEverAndHaveNoOverflow(t *testing.T) {
	t.Parallel()
	db := openPool(t, databases.URL(t, dbctx.Postgres), dbctx.Pool{Size: 2, MaxOverflow: -1, Recycle: -1})
	c := dbctx.PoolConfig(db)
	if c.MaxConns != 2 || c.MaxConnLifetime < 10*365*24*time.Hour {
		t.Errorf("at most %d, recycled after %s; want 2 and never", c.MaxConns, c.MaxConnLifetime)
	}
}

// Scopes keep working while their connections are renewed under them.
func TestAConnectionIsRecycledWithoutAScopeThatFails(t *testing.T) {
	t.Parallel()
	db := openPool(t, databases.URL(t, dbctx.Postgres), dbctx.Pool{Size: 1, MaxOverflow: -1, Recycle: 50 * time.Millisecond})
	seen := map[int32]bool{}
	if !eventually(func() bool {
		pid, err := backendOf(t.Context(), db)
		if err != nil {
			t.Fatalf("a scope beside the recycling = %v", err)
		}
		seen[pid] = true
		return len(seen) >= 3
	}) {
		t.Errorf("%d connections were seen, want 3", len(seen))
	}
}

// A firewall that has forgotten a connection drops what is sent on it, and tells neither end.
func TestAConnectionThatDiedSilentlyIsNotHandedOut(t *testing.T) {
	t.Parallel()
	for name, pinged := range map[string]bool{"with pre-ping": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newWireProxy(t, databases.URL(t, dbctx.Postgres))
			db := openPool(t, p.url, dbctx.Pool{Size: 1, MaxOverflow: -1, NoPrePing: !pinged})
			dbctx.SetEndLimit(db, impatient)
			first, err := backendOf(t.Context(), db)
			if err != nil {
				t.Fatal(err)
			}
			dead := p.last.Load()
			dead.arm(fault{swallow, frontend, 1})
			t.Cleanup(dead.close)
			<-time.After(dbctx.RestLimit + 10*time.Millisecond)
			limit := 15 * time.Second // five of them for the ping
			if !pinged {
				limit = impatient
			}
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			second, err := backendOf(ctx, db)
			if pinged && (err != nil || second == first) {
				t.Errorf("Run = %v on backend %d, want another than the dead %d", err, second, first)
			}
			if !pinged && !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Run = %v, want the dead connection and no answer", err)
			}
			if sent := dead.messages()[frontend]; strings.HasPrefix(sent, "Q") != pinged {
				t.Errorf("messages %q were sent on the dead connection, pinged %v; a ping is a Q", sent, pinged)
			}
		})
	}
}

// A restart ends every connection at once.
func TestConnectionsOfAServerThatRestartedAreNotHandedOut(t *testing.T) {
	t.Parallel()
	url := databases.URL(t, dbctx.Postgres)
	db := openPool(t, url, dbctx.Pool{Size: 5, MaxOverflow: -1, Reserve: -1})
	eye := outside(t, url)
	occupyBriefly(t, db, 5, func() {})
	dead := map[int32]bool{}
	for _, pid := range backends(t, eye) {
		dead[pid] = true
		if _, err := eye.Exec(t.Context(), `SELECT pg_terminate_backend($1, 5000)`, pid); err != nil {
			t.Fatal(err)
		}
	}
	if len(dead) != 5 {
		t.Fatalf("%d backends before, want 5", len(dead))
	}
	occupyBriefly(t, db, 5, func() {
		for _, pid := range backends(t, eye) {
			if dead[pid] {
				t.Errorf("backend %d is still there", pid)
			}
		}
	})
}

// occupyBriefly runs n scopes at the same time, and meanwhile while each holds a connection.
func occupyBriefly(t *testing.T, db *dbctx.DB, n int, meanwhile func()) {
	t.Helper()
	var wg, all sync.WaitGroup
	all.Add(n)
	free := make(chan struct{})
	for range n {
		wg.Go(func() {
			err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
				err := tx.QueryRow(ctx, `SELECT 1`).Scan(new(int))
				all.Done()
				<-free
				return err
			})
			if err != nil {
				t.Errorf("one of %d scopes at once = %v", n, err)
			}
		})
	}
	all.Wait()
	meanwhile()
	close(free)
	wg.Wait()
}

func TestManyGoroutinesShareOnePoolAndNeverExceedIt(t *testing.T) {
	t.Parallel()
	url := databases.URL(t, dbctx.Postgres)
	db := openPool(t, url, dbctx.Pool{Size: 2, MaxOverflow: 3, Reserve: -1})
	eye := outside(t, url)
	var wg sync.WaitGroup
	occupyBriefly(t, db, 5, func() {
		for range 40 { // they wait
			wg.Go(func() {
				if _, err := backendOf(t.Context(), db); err != nil {
					t.Errorf("a scope in line = %v", err)
				}
			})
		}
		if !eventually(func() bool { return db.Stats().Scopes == 45 }) {
			t.Errorf("%d scopes are open, want 45", db.Stats().Scopes)
		}
		if n, s := len(backends(t, eye)), db.Stats(); n != 5 || s.Open != 5 || s.InUse != 5 || s.Max != 5 {
			t.Errorf("%d backends, %+v; want 5 for 45 scopes", n, s)
		}
	})
	wg.Wait()
	if n := len(backends(t, eye)); n > 5 {
		t.Errorf("%d backends afterwards, want 5 at most", n)
	}
	if waits := db.Stats().Waits; waits < 40 {
		t.Errorf("%d scopes waited, want 40", waits)
	}
}

func TestNothingIsWrittenBeforeTheScopeEnds(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		unseen := func(when string) {
			if got := notes(t, db); len(got) != 0 {
				t.Errorf("%s another scope sees %v, want nothing", when, got)
			}
		}
		err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
			tx.Queue(addNote, 1, "queued")
			unseen("behind Queue")
			if _, err := tx.Exec(ctx, addNote, 2, "sent"); err != nil {
				return err
			}
			unseen("behind Exec")
			err := dbctx.Run(ctx, db, func(ctx context.Context, tx *dbctx.Tx) error {
				_, err := tx.Exec(ctx, addNote, 3, "nested")
				return err
			})
			unseen("behind a nested scope")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		expect(t, db, 1, 2, 3)
	})
}

func TestQueuedWritesLeaveWhenTheScopeSaysSo(t *testing.T) {
	t.Parallel()
	db, proxy := openThroughProxy(t)
	var before int64
	trips := func(what string, want int64) {
		t.Helper()
		if got := proxy.trips.Load() - before; got != want {
			t.Errorf("%s: %d round trips so far, want %d", what, got, want)
		}
	}
	add := func(id int) func(context.Context, *dbctx.Tx) error {
		return func(_ context.Context, tx *dbctx.Tx) error { tx.Queue(addNote, id, "a"); return nil }
	}
	count := func(ctx context.Context, tx *dbctx.Tx) (n int, err error) {
		return n, tx.QueryRow(ctx, `SELECT count(*) FROM notes`).Scan(&n)
	}
	err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error { // prepares the statements
		_ = add(100)(ctx, tx)
		_, err := count(ctx, tx)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	clearNotes(t, db)
	before = proxy.trips.Load()
	err = dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
		_ = add(1)(ctx, tx)
		trips("one is queued", 0)
		if err := dbctx.Run(ctx, db, add(2)); err != nil {
			return err
		}
		trips("a nested scope has queued another", 0)
		if n, err := count(ctx, tx); err != nil || n != 2 {
			t.Errorf("the scope's own read counts %d, %v; want the 2 that left with it", n, err)
		}
		trips("the scope has read", 1)
		_ = add(3)(ctx, tx)
		trips("one more is queued", 1)
		return nil
	})
	trips("the last left with COMMIT", 2)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, db, 1, 2, 3)
}

// What is queued and never asked for is not sent by a reader beside it, whoever that is.
func TestAReadBesideTheScopeSendsNothingOfIt(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		err := dbctx.Run(t.Context(), db, func(_ context.Context, tx *dbctx.Tx) error {
			tx.Queue(addNote, 1, "a")
			for range 3 {
				if got := notes(t, db); len(got) != 0 {
					t.Errorf("a reader sees %v", got)
				}
			}
			if n := db.Stats().InUse; n != 0 {
				t.Errorf("%d connections in use, want none: nothing of the scope has left", n)
			}
			return errOops
		})
		if err != errOops {
			t.Errorf("Run = %v, want its own error", err)
		}
		expect(t, db)
	})
}

func TestEveryRequestHasItsScopeAndAHandlerThatPanicsClosesIt(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			err := dbctx.Run(r.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
				if _, err := tx.Exec(ctx, addNote, r.FormValue("id"), "a"); err != nil {
					return err
				}
				if r.FormValue("panics") != "" {
					panic(http.ErrAbortHandler)
				}
				return nil
			})
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
			}
		}))
		server.Start()
		t.Cleanup(server.Close)
		for _, request := range []struct {
			query string
			want  []int64
		}{{"?id=1&panics=1", nil}, {"?id=2", []int64{2}}, {"?id=3&panics=1", []int64{2}}, {"?id=4", []int64{2, 4}}} {
			answer, err := server.Client().Get(server.URL + request.query)
			if err == nil {
				answer.Body.Close()
			}
			if panics := strings.Contains(request.query, "panics"); panics != (err != nil) || !panics && answer.StatusCode != 200 {
				t.Errorf("%s: %v, %v", request.query, answer, err)
			}
			expect(t, db, request.want...) // the answer comes behind the commit
		}
	})
}

func TestFiveAttemptsAreMadeTwoSecondsApart(t *testing.T) {
	t.Parallel()
	attempts := 0
	start := time.Now()
	_, err := dbctx.Open(t.Context(), "postgresql://u@"+refuse(t, "57P03")+"/db", dbctx.Pool{Logger: slog.New(onLog(func() { attempts++ }))})
	took := time.Since(start)
	if !errors.Is(err, dbctx.ErrUnreachable) || attempts != 4 || took < 8*time.Second || took > 16*time.Second {
		t.Errorf("Open = %v after %d attempts and a last one in %s, want ErrUnreachable after 4 and a last one in 8 s", err, attempts, took)
	}
}

func TestClosingLeavesNoConnectionBehind(t *testing.T) {
	t.Run(string(dbctx.Postgres), func(t *testing.T) {
		t.Parallel()
		url := databases.URL(t, dbctx.Postgres)
		eye := outside(t, url)
		db := openPool(t, url, dbctx.Pool{Size: 3, MaxOverflow: 2, Reserve: -1})
		occupyBriefly(t, db, 5, func() {
			if n := len(backends(t, eye)); n != 5 {
				t.Errorf("%d backends before, want 5", n)
			}
		})
		db.Close()
		if !eventually(func() bool { return len(backends(t, eye)) == 0 }) {
			t.Errorf("%d backends are left", len(backends(t, eye)))
		}
	})
	t.Run(string(dbctx.SQLite), func(t *testing.T) {
		t.Parallel()
		db := openPool(t, databases.URL(t, dbctx.SQLite), dbctx.Pool{})
		if err := dbctx.Run(t.Context(), db, func(_ context.Context, tx *dbctx.Tx) error { tx.Queue(addNote, 1, "a"); return nil }); err != nil {
			t.Fatal(err)
		}
		expect(t, db, 1)
		db.Close()
		files, err := os.ReadDir(filepath.Dir(db.SQLitePath()))
		if err != nil || len(files) != 1 {
			t.Errorf("files = %v, %v; want the database alone, without its log", files, err)
		}
	})
}
