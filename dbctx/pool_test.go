package dbctx_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leadmill/leadmill/dbctx"
)

// occupy holds every connection for writers until the test ends.
func occupy(t *testing.T, db *dbctx.DB, n int) {
	t.Helper()
	held, free := make(chan error, n), make(chan struct{})
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			err := dbctx.Run(context.Background(), db, func(ctx context.Context, tx *dbctx.Tx) error {
				_, err := tx.Exec(ctx, `SELECT 1`)
				held <- err
				<-free
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(func() { close(free); wg.Wait() })
	for range n {
		if err := <-held; err != nil {
			t.Fatal(err)
		}
	}
}

func TestAPoolThatIsExhaustedSaysSo(t *testing.T) {
	for d, places := range map[dbctx.Dialect]int{dbctx.SQLite: 1, dbctx.Postgres: 2} {
		t.Run(string(d), func(t *testing.T) {
			t.Parallel()
			db, err := dbctx.Open(t.Context(), databases.URL(t, d), dbctx.Pool{Size: 1, MaxOverflow: 2, Reserve: 1})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(db.Close)
			occupy(t, db, places)
			dbctx.SetWait(db, 20*time.Millisecond)
			write := func(ctx context.Context, tx *dbctx.Tx) error { tx.Queue(addNote, 1, "a"); return nil }
			err = dbctx.Run(t.Context(), db, write)
			want := fmt.Sprintf(`^no connection within 20ms; %d scopes open, the oldest since \S+Z at dbctx/pool_test.go:\d+$`, places+1)
			if !errors.Is(err, dbctx.ErrNoConnection) || !dbctx.IsUnavailable(err) || !regexp.MustCompile(want).MatchString(err.Error()) {
				t.Errorf("Run = %v, want ErrNoConnection and %s", err, want)
			}
			if err := db.Ping(t.Context()); err != nil {
				t.Errorf("Ping = %v, want an answer by the reserve", err)
			}
			vital := dbctx.Run(t.Context(), db, write, dbctx.Vital())
			if waits := errors.Is(vital, dbctx.ErrNoConnection); waits != (d == dbctx.SQLite) || !waits && vital != nil {
				t.Errorf("a vital scope = %v, want it to pass by on PostgreSQL and to stand in line on SQLite", vital)
			}
			ctx, cancel := context.WithCancel(t.Context())
			dbctx.SetWait(db, time.Hour)
			defer time.AfterFunc(10*time.Millisecond, cancel).Stop()
			err = dbctx.Run(ctx, db, write)
			if !errors.Is(err, context.Canceled) || dbctx.IsUnavailable(err) {
				t.Errorf("Run with a context that ends while it waits = %v, want Canceled", err)
			}
		})
	}
}

func TestThePoolOpensItsSizeAtTheStart(t *testing.T) {
	db, err := dbctx.Open(t.Context(), databases.URL(t, dbctx.Postgres), dbctx.Pool{Size: 3, MaxOverflow: 4})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	deadline := time.After(10 * time.Second)
	for db.Stats().Open < 3 {
		select {
		case <-deadline:
			t.Fatalf("stats = %+v, want 3 open", db.Stats())
		case <-time.After(5 * time.Millisecond):
		}
	}
	if got := db.Stats().Max; got != 7 {
		t.Errorf("max = %d, want 7", got)
	}
}

func TestAConnectionWhoseServerTakesNoWritesIsReplaced(t *testing.T) {
	db, err := dbctx.Open(t.Context(), databases.URL(t, dbctx.Postgres), dbctx.Pool{Size: 1, MaxOverflow: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
		_, err := tx.Exec(ctx, `SET default_transaction_read_only = on`) // as after a failover
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	write := func(_ context.Context, tx *dbctx.Tx) error { tx.Queue(addNote, 1, "a"); return nil }
	if err := dbctx.Run(t.Context(), db, write); !dbctx.IsUnavailable(err) || errors.Is(err, dbctx.ErrCommitUnknown) {
		t.Errorf("the first write = %v, want unavailable", err)
	}
	if err := dbctx.Run(t.Context(), db, write); err != nil {
		t.Errorf("the second write = %v, want a new connection", err)
	}
	expect(t, db, 1)
}

func TestOneAtATimeHoldsTheNameOfExclusive(t *testing.T) {
	db := databases.Open(t, dbctx.Postgres)
	var wg sync.WaitGroup
	var inside atomic.Int64
	for range 5 {
		wg.Go(func() {
			err := db.Exclusive(t.Context(), "migrate", func(context.Context) error {
				if n := inside.Add(1); n != 1 {
					t.Errorf("%d at once", n)
				}
				inside.Add(-1)
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}
