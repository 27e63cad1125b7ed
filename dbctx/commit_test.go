package dbctx_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/leadmill/leadmill/dbctx"
)

func TestAnArgumentThatDoesNotFitIsNoUnknownCommit(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		err := dbctx.Run(t.Context(), db, func(_ context.Context, tx *dbctx.Tx) error {
			tx.Queue(addNote, 1, "a")
			tx.Queue(addNote, func() {}, "b")
			return nil
		})
		if err == nil || errors.Is(err, dbctx.ErrCommitUnknown) || dbctx.IsUnavailable(err) {
			t.Errorf("Run = %v, want a plain error", err)
		}
		expect(t, db)
	})
}

func TestACommitThatIsRefusedLeavesACleanConnection(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		ctx := t.Context()
		err := dbctx.Run(ctx, db, func(ctx context.Context, tx *dbctx.Tx) error {
			_, err := tx.Exec(ctx, `CREATE TABLE replies (note INTEGER REFERENCES notes (id) DEFERRABLE INITIALLY DEFERRED)`)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			err = dbctx.Run(ctx, db, func(ctx context.Context, tx *dbctx.Tx) error {
				tx.AfterCommit(func() { t.Error("a hook ran") })
				_, err := tx.Exec(ctx, `INSERT INTO replies VALUES (99)`)
				return err
			})
			if err == nil || errors.Is(err, dbctx.ErrCommitUnknown) {
				t.Errorf("Run = %v, want the constraint", err)
			}
			expect(t, db)
		}
		if err := dbctx.Run(ctx, db, func(_ context.Context, tx *dbctx.Tx) error { tx.Queue(addNote, 1, "a"); return nil }); err != nil {
			t.Errorf("the next scope = %v", err)
		}
		expect(t, db, 1)
	})
}

func TestWhateverFnMakesOfItTheCallerHearsThatItIsDone(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		for i, ends := range []error{nil, errOops} {
			for want := range 2 {
				err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
					if _, err := tx.Exec(ctx, `UPDATE notes SET text = 'a'`); err != nil {
						return ends
					}
					return nil
				}, dbctx.Once(fmt.Sprint("job/", i)))
				if errors.Is(err, dbctx.ErrAlreadyDone) != (want == 1) {
					t.Errorf("run %d ending with %v = %v", want, ends, err)
				}
			}
		}
		if err := dbctx.Run(t.Context(), db, nil, dbctx.Once("x"), dbctx.ReadOnly()); err == nil {
			t.Error("Once in a read-only scope = nil, want a refusal")
		}
	})
}

func TestKeepDoesNotPassByAKeyThatIsThere(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		late := func(ctx context.Context, tx *dbctx.Tx) error {
			tx.Queue(addNote, 2, "a worker that wakes up late")
			return dbctx.Keep(errOops)
		}
		add := func(_ context.Context, tx *dbctx.Tx) error { tx.Queue(addNote, 1, "first"); return nil }
		if err := dbctx.Run(t.Context(), db, add, dbctx.Once("job/1")); err != nil {
			t.Fatal(err)
		}
		if err := dbctx.Run(t.Context(), db, late, dbctx.Once("job/1")); !errors.Is(err, dbctx.ErrAlreadyDone) {
			t.Errorf("Run = %v, want ErrAlreadyDone", err)
		}
		err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
			if err := dbctx.Run(ctx, db, late, dbctx.Once("job/1")); !errors.Is(err, dbctx.ErrAlreadyDone) {
				t.Errorf("nested Run = %v, want ErrAlreadyDone", err)
			}
			tx.Queue(addNote, 3, "outer")
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		expect(t, db, 1, 3)
	})
}

func TestTheCauseOfACancelIsKept(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		ctx, cancel := context.WithCancelCause(t.Context())
		err := dbctx.Run(ctx, db, func(_ context.Context, tx *dbctx.Tx) error {
			tx.Queue(addNote, 1, "a")
			cancel(errOops)
			return nil
		})
		if !errors.Is(err, errOops) || !errors.Is(err, context.Canceled) || dbctx.IsUnavailable(err) {
			t.Errorf("Run = %v, want the cancel and its cause", err)
		}
		expect(t, db)
	})
}

func TestLibrariesJoinTheScope(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		native := func(ctx context.Context, tx *dbctx.Tx) (err error) {
			tx.Queue(addNote, 1, "queued")
			if db.Dialect() == dbctx.SQLite {
				if _, err := tx.Pgx(ctx); err == nil {
					t.Error("Pgx on SQLite = nil, want an error")
				}
				theirs, err := tx.SQL(ctx)
				if err != nil {
					return err
				}
				_, err = theirs.ExecContext(ctx, addNote+` ON CONFLICT DO NOTHING`, 2, "theirs")
				return err
			}
			if _, err := tx.SQL(ctx); err == nil {
				t.Error("SQL on PostgreSQL = nil, want an error")
			}
			var theirs pgx.Tx
			if theirs, err = tx.Pgx(ctx); err != nil {
				return err
			}
			_, err = theirs.Exec(ctx, addNote, 2, "theirs")
			return err
		}
		if err := dbctx.Run(t.Context(), db, native); err != nil {
			t.Fatal(err)
		}
		expect(t, db, 1, 2)
		clearNotes(t, db)
		err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
			return errors.Join(native(ctx, tx), errOops)
		})
		if !errors.Is(err, errOops) {
			t.Errorf("Run = %v", err)
		}
		expect(t, db)
	})
}

func TestACancelEndsAWaitForALockWithoutDoubt(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		hold(t, db)
		for _, once := range [][]dbctx.Option{nil, {dbctx.Once("job/1")}} {
			ctx, cancel := context.WithCancel(t.Context())
			defer time.AfterFunc(50*time.Millisecond, cancel).Stop()
			start := time.Now()
			err := dbctx.Run(ctx, db, func(_ context.Context, tx *dbctx.Tx) error { tx.Queue(addNote, 1, "waits"); return nil }, once...)
			if !errors.Is(err, context.Canceled) || errors.Is(err, dbctx.ErrCommitUnknown) || time.Since(start) > 3*time.Second {
				t.Errorf("Run = %v after %s, want Canceled at once", err, time.Since(start))
			}
		}
	})
}

// hold writes note 1 in a scope that stays open, on a goroutine of its own, until the test ends.
func hold(t *testing.T, db *dbctx.DB) {
	t.Helper()
	held, free := make(chan error), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		_ = dbctx.Run(context.Background(), db, func(ctx context.Context, tx *dbctx.Tx) error {
			_, err := tx.Exec(ctx, addNote, 1, "held")
			held <- err
			<-free
			return errOops
		})
	})
	t.Cleanup(func() { close(free); wg.Wait() })
	if err := <-held; err != nil {
		t.Fatal(err)
	}
}

func TestAnErrorSwallowedOnTheNativeHandleNeverBecomesASuccess(t *testing.T) {
	db := databases.Open(t, dbctx.Postgres)
	err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
		tx.Queue(addNote, 1, "a")
		theirs, err := tx.Pgx(ctx)
		if err != nil {
			return err
		}
		_, _ = theirs.Exec(ctx, `INSERT INTO nowhere VALUES (1)`)
		tx.AfterCommit(func() { t.Error("a hook ran") })
		return nil
	})
	if !errors.Is(err, pgx.ErrTxCommitRollback) || errors.Is(err, dbctx.ErrCommitUnknown) {
		t.Errorf("Run = %v, want ErrTxCommitRollback", err)
	}
	expect(t, db)
}

// A pooler such as PgBouncer may want another mode than the one with prepared statements.
func TestEveryModeOfTheDriverKeepsThePromises(t *testing.T) {
	for _, mode := range []string{"cache_statement", "cache_describe", "describe_exec", "exec", "simple_protocol"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			url := databases.URL(t, dbctx.Postgres) + "?default_query_exec_mode=" + mode
			db, err := dbctx.Open(t.Context(), url, dbctx.Pool{Size: 1, MaxOverflow: 1})
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			run := func(id int64, last any) error {
				return dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
					tx.Queue(addNote, id, "queued")
					err := dbctx.Run(ctx, db, func(ctx context.Context, tx *dbctx.Tx) error {
						_, err := tx.Exec(ctx, `INSERT INTO nowhere VALUES (1)`)
						return err
					})
					if err == nil {
						t.Error("the nested scope succeeded")
					}
					tx.Queue(addNote, last, "last")
					return nil
				}, dbctx.Once("job/1"))
			}
			if err := run(1, func() {}); err == nil || errors.Is(err, dbctx.ErrCommitUnknown) {
				t.Errorf("an argument that does not fit: Run = %v, want a plain error", err)
			}
			expect(t, db)
			if err := run(1, 2); err != nil {
				t.Errorf("Run = %v", err)
			}
			if err := run(3, 4); !errors.Is(err, dbctx.ErrAlreadyDone) {
				t.Errorf("the second Run = %v, want ErrAlreadyDone", err)
			}
			expect(t, db, 1, 2)
		})
	}
}
