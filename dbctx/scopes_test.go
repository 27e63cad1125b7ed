package dbctx_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"weak"

	"github.com/leadmill/leadmill/dbctx"
)

// here is the place of a call, some lines further down, as dbctx writes it.
func here(further int) string {
	_, _, line, _ := runtime.Caller(1)
	return fmt.Sprintf("dbctx/scopes_test.go:%d", line+further)
}

func TestTheGaugesTellWhichScopesAreOpen(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		before := db.Stats()
		if before.Scopes != 0 || before.Oldest != 0 {
			t.Errorf("nothing is open: %d scopes, the oldest %s; want none", before.Scopes, before.Oldest)
		}
		start := time.Now()
		err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
			if s := db.Stats(); s.Scopes != 1 || s.InUse != 0 {
				t.Errorf("before the first statement: %d scopes, %d connections in use; want 1 and none", s.Scopes, s.InUse)
			}
			if err := add(1)(ctx, tx); err != nil {
				return err
			}
			if !eventually(func() bool { return db.Stats().Oldest > dbctx.LengthBounds[0] }) {
				t.Errorf("the oldest is %s old, and should age", db.Stats().Oldest)
			}
			if age := db.Stats().Oldest; age > time.Since(start) {
				t.Errorf("the oldest is %s old, %s since the start", age, time.Since(start))
			}
			elsewhere(func() {
				_ = dbctx.Run(context.Background(), db, func(context.Context, *dbctx.Tx) error {
					if s := db.Stats(); s.Scopes != 2 {
						t.Errorf("%d scopes, want 2", s.Scopes)
					}
					return nil
				})
			})
			return dbctx.Run(ctx, db, func(context.Context, *dbctx.Tx) error {
				if s := db.Stats(); s.Scopes != 1 {
					t.Errorf("inside a nested one: %d scopes, want 1: it is part of the outer one", s.Scopes)
				}
				return nil
			})
		})
		took := time.Since(start)
		if err != nil {
			t.Fatal(err)
		}
		s := db.Stats()
		if s.Scopes != 0 || s.Oldest != 0 || s.Ended != before.Ended+2 {
			t.Errorf("behind the end: %d scopes, the oldest %s, %d have ended; want none and %d", s.Scopes, s.Oldest, s.Ended, before.Ended+2)
		}
		if length := s.Length - before.Length; length <= dbctx.LengthBounds[0] || length > 2*took {
			t.Errorf("they were open for %s, and it took %s", length, took)
		}
	})
}

// A connection keeps the last scope that it served until it serves another. If that one kept the next, a process under load
// would keep them all.
func TestAScopeThatIsOverKeepsNoneOfThoseThatCameBehindIt(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		var first *dbctx.Tx
		second, over, ended := make(chan weak.Pointer[dbctx.Tx]), make(chan struct{}), make(chan struct{})
		var behind weak.Pointer[dbctx.Tx]
		err := dbctx.Run(t.Context(), db, func(_ context.Context, tx *dbctx.Tx) error {
			first = tx
			go func() {
				defer close(ended)
				_ = dbctx.Run(context.Background(), db, func(_ context.Context, tx *dbctx.Tx) error {
					second <- weak.Make(tx)
					<-over
					return nil
				})
			}()
			behind = <-second
			return nil
		})
		close(over)
		<-ended
		if err != nil {
			t.Fatal(err)
		}
		if !eventually(func() bool { runtime.GC(); return behind.Value() == nil }) {
			t.Error("a scope that is over is kept by the one before it")
		}
		runtime.KeepAlive(first)
	})
}

func TestEveryScopeIsCountedWhenItEnds(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		for name, end := range map[string]func(ctx context.Context, tx *dbctx.Tx) error{
			"nil":       add(1),
			"error":     func(context.Context, *dbctx.Tx) error { return errOops },
			"panic":     func(context.Context, *dbctx.Tx) error { panic(errOops) },
			"goexit":    func(context.Context, *dbctx.Tx) error { runtime.Goexit(); return nil },
			"violation": func(_ context.Context, tx *dbctx.Tx) error { tx.Queue(addNote, 1, "a"); return nil },
		} {
			before := db.Stats()
			elsewhere(func() {
				defer func() { _ = recover() }()
				_ = dbctx.Run(context.Background(), db, end)
			})
			s, sum := db.Stats(), int64(0)
			for _, n := range s.Lengths {
				sum += n
			}
			if s.Scopes != 0 || s.Ended != before.Ended+1 || sum != s.Ended {
				t.Errorf("%s: %d open, %d ended, %d by length; want none, %d and the same", name, s.Scopes, s.Ended, sum, before.Ended+1)
			}
		}
	})
}

func TestAScopeIsCountedInTheClassOfItsLength(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		if !slices.IsSorted(dbctx.LengthBounds[:]) {
			t.Errorf("the bounds %s are not in order", dbctx.LengthBounds)
		}
		for class, bound := range dbctx.LengthBounds[:4] { // longer than this one
			before, start := db.Stats(), time.Now()
			_ = dbctx.Run(t.Context(), db, func(context.Context, *dbctx.Tx) error { <-time.After(bound + time.Millisecond); return nil })
			took, s := time.Since(start), db.Stats()
			for i := range s.Lengths {
				grown := s.Lengths[i] - before.Lengths[i]
				possible := i > class && (i == 0 || dbctx.LengthBounds[i-1] < took)
				if grown != 0 && !possible {
					t.Errorf("open for more than %s and at most %s: class %d has grown by %d", bound, took, i, grown)
				}
			}
		}
	})
}

func TestAWaitForAConnectionIsCounted(t *testing.T) {
	eachOne(t, func(t *testing.T, db *dbctx.DB) {
		expect(t, db) // opens what is needed
		before := db.Stats()
		free, held := make(chan struct{}), make(chan error)
		var wg sync.WaitGroup
		wg.Go(func() {
			_ = dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
				held <- add(1)(ctx, tx)
				<-free
				return nil
			})
		})
		if err := <-held; err != nil {
			t.Fatal(err)
		}
		if s := db.Stats(); s.Waits != before.Waits {
			t.Errorf("%d waits though there was a connection, want %d", s.Waits, before.Waits)
		}
		start := time.Now()
		wg.Go(func() {
			if err := dbctx.Run(t.Context(), db, add(2)); err != nil {
				t.Errorf("the one that waits = %v, want nil", err)
			}
		})
		if !eventually(func() bool { s := db.Stats(); return s.Scopes == 2 && s.Oldest > tight }) {
			t.Errorf("%+v, want 2 scopes", db.Stats())
		}
		close(free)
		wg.Wait()
		s := db.Stats()
		if waited := s.Wait - before.Wait; s.Waits != before.Waits+1 || waited <= 0 || waited > time.Since(start) {
			t.Errorf("%d waits of %s, want 1 of at most %s", s.Waits-before.Waits, waited, time.Since(start))
		}
		expect(t, db, 1, 2)
	})
}

func TestAScopeWithoutAConnectionCannotGoOn(t *testing.T) {
	eachOne(t, func(t *testing.T, db *dbctx.DB) {
		occupy(t, db, 1)
		dbctx.SetWait(db, tight)
		err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
			tx.AfterCommit(func() { t.Error("a hook ran") })
			first := add(1)(ctx, tx)
			start := time.Now()
			second := add(2)(ctx, tx)
			if !errors.Is(first, dbctx.ErrNoConnection) || second != first || time.Since(start) > tight {
				t.Errorf("the first statement = %v, the second = %v after %s; want ErrNoConnection twice, and one wait", first, second, time.Since(start))
			}
			tx.Queue(addNote, 3, "a")
			return nil
		})
		if !errors.Is(err, dbctx.ErrNoConnection) {
			t.Errorf("Run = %v, want ErrNoConnection though fn ignored it", err)
		}
		if n := db.Stats().InUse; n != 1 {
			t.Errorf("%d connections in use, want the other scope's alone", n)
		}
		expectNone(t, db)
	})
}

// expectNone reads past the places, which are taken.
func expectNone(t *testing.T, db *dbctx.DB) {
	t.Helper()
	var n int
	if err := neighbour(t, db).QueryRow(`SELECT count(*) FROM notes`).Scan(&n); err != nil || n != 0 {
		t.Errorf("%d notes, %v; want none", n, err)
	}
}

// What failed before it left did not hurt the transaction: the outer scope has time until a place is free.
func TestTheOuterScopeGetsOverANestedOneWithoutAConnection(t *testing.T) {
	eachOne(t, func(t *testing.T, db *dbctx.DB) {
		free, held := make(chan struct{}), make(chan error)
		var wg sync.WaitGroup
		wg.Go(func() {
			_ = dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
				_, err := tx.Exec(ctx, `SELECT 1`)
				held <- err
				<-free
				return nil
			})
		})
		if err := <-held; err != nil {
			t.Fatal(err)
		}
		dbctx.SetWait(db, tight)
		err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
			tx.Queue(addNote, 1, "a")
			if err := dbctx.Run(ctx, db, add(2)); !errors.Is(err, dbctx.ErrNoConnection) {
				t.Errorf("the nested Run = %v, want ErrNoConnection", err)
			}
			close(free)
			wg.Wait()
			return add(3)(ctx, tx)
		})
		if err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
		expect(t, db, 1, 3)
	})
}

// A writer of SQLite waits for the writer, whoever reads longer than he writes.
func TestTheSentenceNamesTheScopeThatIsWaitedFor(t *testing.T) {
	db := databases.Open(t, dbctx.SQLite)
	held, free := make(chan error), make(chan struct{})
	var wg sync.WaitGroup
	defer func() { close(free); wg.Wait() }()
	wg.Go(func() {
		_ = dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
			_, err := count(ctx, tx)
			held <- err
			<-free
			return nil
		}, dbctx.ReadOnly())
	})
	if err := <-held; err != nil {
		t.Fatal(err)
	}
	var writer string
	wg.Go(func() {
		writer = here(1)
		_ = dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
			held <- add(1)(ctx, tx)
			<-free
			return nil
		})
	})
	if err := <-held; err != nil {
		t.Fatal(err)
	}
	dbctx.SetWait(db, tight)
	err := dbctx.Run(t.Context(), db, add(2))
	if !errors.Is(err, dbctx.ErrNoConnection) || !contains(err, "at "+writer) {
		t.Errorf("Run = %v, want the writer at %s named", err, writer)
	}
}

// record is a logger that remembers what it is told, and asks the database about it as a logger may.
type record struct {
	db    atomic.Pointer[dbctx.DB]
	mu    sync.Mutex
	lines []string
}

func (r *record) Enabled(context.Context, slog.Level) bool { return true }
func (r *record) WithAttrs([]slog.Attr) slog.Handler       { return r }
func (r *record) WithGroup(string) slog.Handler            { return r }
func (r *record) Handle(_ context.Context, told slog.Record) error {
	line := told.Level.String() + " " + told.Message
	told.Attrs(func(a slog.Attr) bool { line += " " + a.String(); return true })
	if db := r.db.Load(); db != nil {
		_ = db.Stats()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, line)
	return nil
}

func (r *record) all() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.lines)
}

// eachWatched opens databases whose long scopes are logged.
func eachWatched(t *testing.T, after time.Duration, fn func(t *testing.T, db *dbctx.DB, log *record)) {
	t.Helper()
	for _, d := range []dbctx.Dialect{dbctx.SQLite, dbctx.Postgres} {
		t.Run(string(d), func(t *testing.T) {
			t.Parallel()
			log := &record{}
			db, err := dbctx.Open(t.Context(), databases.URL(t, d), dbctx.Pool{Size: 1, MaxOverflow: 5, WarnAfter: after, Logger: slog.New(log)})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(db.Close)
			log.db.Store(db)
			fn(t, db, log)
		})
	}
}

func TestALongScopeIsLoggedOnceWithThePlaceThatOpenedIt(t *testing.T) {
	eachWatched(t, tight, func(t *testing.T, db *dbctx.DB, log *record) {
		for turn := range 2 { // the watch works for the next one too
			where := here(1)
			err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
				if _, err := tx.Exec(ctx, addNote, turn, "ada@example.com"); err != nil {
					return err
				}
				if !eventually(func() bool { return len(log.all()) > turn }) {
					t.Errorf("it is not logged")
				}
				<-time.After(3 * tight) // it could be logged twice more
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			want := `^WARN a scope is open for long: it holds a connection, and the locks of what it wrote for=[\d.]+m?s at=` + regexp.QuoteMeta(where) + `$`
			if got := log.all(); len(got) != turn+1 || !regexp.MustCompile(want).MatchString(got[turn]) {
				t.Errorf("logged %q, want one line more like %s", got, want)
			}
		}
	})
}

func TestAScopeIsNotWarnedOfForWhatCostsNobodyAnything(t *testing.T) {
	eachWatched(t, tight, func(t *testing.T, db *dbctx.DB, log *record) {
		for range 3 {
			if err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
				<-time.After(2 * tight) // a prelude that holds nothing
				tx.AfterCommit(func() { <-time.After(2 * tight) })
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		}
		if got := log.all(); len(got) != 0 {
			t.Errorf("logged %q of scopes without a connection, want nothing", got)
		}
	})
}

func TestShortScopesAreNotLogged(t *testing.T) {
	eachWatched(t, time.Hour, func(t *testing.T, db *dbctx.DB, log *record) {
		for id := range int64(20) {
			if err := dbctx.Run(t.Context(), db, add(id)); err != nil {
				t.Fatal(err)
			}
		}
		if got := log.all(); len(got) != 0 {
			t.Errorf("logged %q, want nothing", got)
		}
	})
}

func TestNoLimitNoWarning(t *testing.T) {
	eachWatched(t, -1, func(t *testing.T, db *dbctx.DB, log *record) {
		if err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error { <-time.After(tight); return add(1)(ctx, tx) }); err != nil {
			t.Fatal(err)
		}
		if got := log.all(); len(got) != 0 {
			t.Errorf("logged %q, want nothing", got)
		}
	})
}

// The reserve is for health checks and lost commits: both work while scopes have all the places.
func TestALostCommitIsAskedForWhileAllPlacesAreTaken(t *testing.T) {
	for name, arrives := range map[string]bool{"the answer is lost": true, "the request is lost": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newProxy(t, databases.URL(t, dbctx.Postgres))
			db, err := dbctx.Open(t.Context(), p.url+"?default_query_exec_mode=exec", dbctx.Pool{Size: 3, MaxOverflow: -1, Reserve: 1, NoPrePing: true})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(db.Close)
			occupy(t, db, 1)
			hooks := 0
			err = dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
				tx.AfterCommit(func() { hooks++ })
				if err := add(1)(ctx, tx); err != nil {
					return err
				}
				if err := db.Ping(ctx); err != nil {
					t.Errorf("Ping while all places are taken = %v, want nil", err)
				}
				if !eventually(func() bool { return db.Stats().Open == 3 }) { // nobody else is to feel the knife
					t.Errorf("%d connections, want 3", db.Stats().Open)
				}
				p.cut(arrives)
				return nil
			}, dbctx.Once("job/1"))
			if (err == nil) != arrives || errors.Is(err, dbctx.ErrCommitUnknown) || err != nil && !dbctx.IsUnavailable(err) || (hooks == 1) != arrives {
				t.Errorf("Run = %v, %d hooks ran; want the truth", err, hooks)
			}
			want := []int64{}
			if arrives {
				want = append(want, 1)
			}
			if got := notes(t, db); !slices.Equal(got, want) {
				t.Errorf("notes = %v, want %v", got, want)
			}
		})
	}
}
