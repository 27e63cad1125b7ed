package dbctx_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/dbctx/dbctxtest"
)

var databases = dbctxtest.New("dbctx", func(ctx context.Context, db *dbctx.DB) error {
	return dbctx.Run(ctx, db, func(ctx context.Context, tx *dbctx.Tx) error {
		tx.Queue(`CREATE TABLE done_keys (key TEXT PRIMARY KEY, at TIMESTAMP NOT NULL)`)
		tx.Queue(`CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL)`)
		return nil
	})
})

func TestMain(m *testing.M) {
	dbctxtest.Main(m, func() error { return goleak.Find() })
}

const addNote = `INSERT INTO notes (id, text) VALUES ($1, $2)`

// notes returns the ids that are visible to a new scope.
func notes(t *testing.T, db *dbctx.DB) []int64 {
	t.Helper()
	ids := []int64{}
	err := dbctx.Run(context.Background(), db, func(ctx context.Context, tx *dbctx.Tx) error {
		found, err := dbctx.All(ctx, tx, func(row dbctx.Scanner) (id int64, err error) { return id, row.Scan(&id) },
			`SELECT id FROM notes ORDER BY id`)
		ids = append(ids, found...)
		return err
	}, dbctx.ReadOnly())
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

// expect compares what is visible with what should be, and that no connection is held.
func expect(t *testing.T, db *dbctx.DB, want ...int64) {
	t.Helper()
	if got := notes(t, db); !slices.Equal(got, want) {
		t.Errorf("notes = %v, want %v", got, want)
	}
	deadline := time.Now().Add(5 * time.Second)
	for db.Stats().InUse != 0 { // the pool itself looks after idle ones now and then
		if time.Now().After(deadline) {
			t.Fatalf("%d connections in use after the scope, want none", db.Stats().InUse)
		}
		<-time.After(time.Millisecond)
	}
}

var errOops = errors.New("oops")

func TestNilCommits(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
			tx.Queue(addNote, 1, "queued")
			if n, err := tx.Exec(ctx, addNote, 2, "executed"); n != 1 {
				return fmt.Errorf("affected %d rows, %w", n, err)
			}
			tx.Queue(addNote, 3, "last")
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		expect(t, db, 1, 2, 3)
	})
}

func TestEveryOtherEndRollsBack(t *testing.T) {
	ends := map[string]func(cancel func()) error{
		"error":  func(func()) error { return errOops },
		"panic":  func(func()) error { panic(errOops) },
		"goexit": func(func()) error { runtime.Goexit(); return nil },
		"cancel": func(cancel func()) error { cancel(); return nil },
	}
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		for name, end := range ends {
			ctx, cancel := context.WithCancel(t.Context())
			var err error
			var wg sync.WaitGroup
			wg.Add(1)
			go func() {
				defer wg.Done()
				defer func() {
					if p := recover(); p != nil && p != any(errOops) {
						t.Errorf("panic = %v, want the job's own", p)
					}
				}()
				err = dbctx.Run(ctx, db, func(ctx context.Context, tx *dbctx.Tx) error {
					if _, err := tx.Exec(ctx, addNote, 1, name); err != nil {
						return err
					}
					tx.Queue(addNote, 2, name)
					return end(cancel)
				})
			}()
			wg.Wait()
			cancel()
			if name == "error" && err != errOops || name == "cancel" && !errors.Is(err, context.Canceled) {
				t.Errorf("%s: Run = %v", name, err)
			}
			expect(t, db)
		}
	})
}

func TestAScopeWithoutStatementsTakesNoConnection(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
			tx.Queue(addNote, 1, "later")
			if n := db.Stats().InUse; n != 0 {
				t.Errorf("%d connections in use before the first statement, want none", n)
			}
			_, err := tx.Exec(ctx, addNote, 2, "now")
			if n := db.Stats().InUse; n != 1 {
				t.Errorf("%d connections in use behind it, want 1", n)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		db.Close()
		nothing := func(context.Context, *dbctx.Tx) error { return nil }
		if err := dbctx.Run(t.Context(), db, func(ctx context.Context, _ *dbctx.Tx) error { return dbctx.Run(ctx, db, nothing) }); err != nil {
			t.Errorf("Run on a closed database = %v, want nil: nothing was asked of it", err)
		}
	})
}

func TestAStatementSeesWhatWasQueuedBeforeIt(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
			tx.Queue(addNote, 1, "a")
			tx.Queue(`UPDATE notes SET text = 'b' WHERE id = 1`)
			var text string
			if err := tx.QueryRow(ctx, `SELECT text FROM notes WHERE id = $1`, 1).Scan(&text); err != nil || text != "b" {
				t.Errorf("text = %q, %v; want b", text, err)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func TestAQueuedWriteThatFailsFailsTheScope(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		err := dbctx.Run(t.Context(), db, func(_ context.Context, tx *dbctx.Tx) error {
			tx.Queue(addNote, 1, "a")
			tx.Queue(addNote, 1, "the same id")
			tx.AfterCommit(func() { t.Error("a hook ran without a commit") })
			return nil
		})
		if !dbctx.IsUniqueViolation(err) {
			t.Errorf("Run = %v, want the violation", err)
		}
		expect(t, db)
	})
}

func TestASwallowedErrorNeverBecomesHalfACommit(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
			tx.Queue(addNote, 1, "a")
			_, _ = tx.Exec(ctx, `SELECT nothing FROM nowhere`)
			tx.Queue(addNote, 2, "b")
			return nil
		})
		if err == nil {
			t.Error("Run = nil, want the error that was swallowed")
		}
		expect(t, db)
	})
}

func TestNestedScopesAreSavepoints(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		var hooks []string
		hook := func(tx *dbctx.Tx, name string) { tx.AfterCommit(func() { hooks = append(hooks, name) }) }
		err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
			tx.Queue(addNote, 1, "outer")
			hook(tx, "outer")
			inner := func(id int64, name string, end error, flush bool) error {
				return dbctx.Run(ctx, db, func(ctx context.Context, tx *dbctx.Tx) error {
					tx.Queue(addNote, id, name)
					hook(tx, name)
					if flush {
						if _, err := tx.Exec(ctx, addNote, id+1, name); err != nil {
							return err
						}
					}
					return end
				})
			}
			if err := inner(10, "kept unsent", nil, false); err != nil {
				return err
			}
			if err := inner(20, "undone unsent", errOops, false); err != errOops {
				t.Errorf("inner = %v, want its own error", err)
			}
			if err := inner(30, "undone", errOops, true); err != errOops {
				t.Errorf("inner = %v, want its own error", err)
			}
			if err := inner(1, "violation", nil, true); !dbctx.IsUniqueViolation(err) {
				t.Errorf("inner = %v, want the violation", err)
			}
			tx.Queue(addNote, 2, "after")
			return inner(40, "kept", nil, true)
		})
		if err != nil {
			t.Fatal(err)
		}
		expect(t, db, 1, 2, 10, 40, 41)
		if want := []string{"outer", "kept unsent", "kept"}; !slices.Equal(hooks, want) {
			t.Errorf("hooks = %q, want %q", hooks, want)
		}
	})
}

func TestAPanicInANestedScopeTakesEverythingBack(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		defer func() {
			if recover() == nil {
				t.Error("the panic was lost")
			}
			expect(t, db)
		}()
		_ = dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
			tx.Queue(addNote, 1, "outer")
			return dbctx.Run(ctx, db, func(ctx context.Context, tx *dbctx.Tx) error {
				_, _ = tx.Exec(ctx, addNote, 2, "inner")
				panic("in the inner scope")
			})
		})
	})
}

func TestOnceHappensOneTime(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		do := func(id int64, end error) error {
			return dbctx.Run(t.Context(), db, func(_ context.Context, tx *dbctx.Tx) error {
				tx.Queue(addNote, id, "once")
				return end
			}, dbctx.Once("job/1"))
		}
		if err := do(1, errOops); err != errOops {
			t.Errorf("a failed run = %v", err)
		}
		if err := do(2, nil); err != nil {
			t.Errorf("the first that succeeds = %v, want nil: a failed run leaves no key", err)
		}
		if err := do(3, nil); !errors.Is(err, dbctx.ErrAlreadyDone) {
			t.Errorf("the second = %v, want ErrAlreadyDone", err)
		}
		expect(t, db, 2)
	})
}

func TestOnceHoldsAgainstTwentyAtOnce(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		var won, lost atomic.Int64
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
					_, err := tx.Exec(ctx, addNote, i, "once")
					return err
				}, dbctx.Once("job/1"))
				switch {
				case err == nil:
					won.Add(1)
				case errors.Is(err, dbctx.ErrAlreadyDone):
					lost.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 || lost.Load() != 19 || len(notes(t, db)) != 1 {
			t.Errorf("%d won, %d lost, %d effects; want 1, 19 and 1", won.Load(), lost.Load(), len(notes(t, db)))
		}
	})
}

func TestOnceInANestedScopeLeavesTheOuterOneUsable(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
			for id := range int64(3) {
				err := dbctx.Run(ctx, db, func(_ context.Context, tx *dbctx.Tx) error {
					tx.Queue(addNote, id, "tick")
					return nil
				}, dbctx.Once("cron/x"))
				if id > 0 != errors.Is(err, dbctx.ErrAlreadyDone) {
					t.Errorf("tick %d = %v", id, err)
				}
			}
			tx.Queue(addNote, 9, "after")
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		expect(t, db, 0, 9)
	})
}

func TestAHookThatPanicsHurtsNobody(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		ran := false
		err := dbctx.Run(t.Context(), db, func(_ context.Context, tx *dbctx.Tx) error {
			tx.Queue(addNote, 1, "a")
			tx.AfterCommit(func() { panic("hook") })
			tx.AfterCommit(func() { ran = true })
			return nil
		})
		if err != nil || !ran {
			t.Errorf("Run = %v, next hook ran %v; want nil and true", err, ran)
		}
		expect(t, db, 1)
	})
}

func TestATxIsOfNoUseAfterItsScope(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		var kept *dbctx.Tx
		if err := dbctx.Run(t.Context(), db, func(_ context.Context, tx *dbctx.Tx) error { kept = tx; return nil }); err != nil {
			t.Fatal(err)
		}
		if _, err := kept.Exec(t.Context(), addNote, 1, "late"); !errors.Is(err, dbctx.ErrTxDone) {
			t.Errorf("Exec = %v, want ErrTxDone", err)
		}
		kept.Queue(addNote, 1, "late")
		expect(t, db)
	})
}

func TestReadOnlyRefusesWritesAndWaitsForNobody(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
			if _, err := tx.Exec(ctx, addNote, 1, "uncommitted"); err != nil {
				return err
			}
			if got := notes(t, db); len(got) != 0 {
				t.Errorf("a reader beside the writer saw %v, want nothing", got)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		err = dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
			_, err := tx.Exec(ctx, addNote, 2, "forbidden")
			return err
		}, dbctx.ReadOnly())
		if err == nil {
			t.Error("a write in a read-only scope was taken")
		}
		expect(t, db, 1)
	})
}

func TestTimesComeBackAsTheyWent(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		at := time.Date(2026, 3, 2, 9, 30, 0, 120000, time.FixedZone("x", 3600))
		err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
			kind := map[dbctx.Dialect]string{dbctx.SQLite: "TIMESTAMP", dbctx.Postgres: "timestamptz"}[tx.Dialect()]
			if _, err := tx.Exec(ctx, `CREATE TABLE times (at `+kind+`)`); err != nil {
				return err
			}
			tx.Queue(`INSERT INTO times (at) VALUES ($1)`, at)
			var one time.Time
			var maybe, none *time.Time
			if err := tx.QueryRow(ctx, `SELECT at, max(at) OVER (), NULL FROM times WHERE at <= $1`, at).Scan(&one, &maybe, &none); err != nil {
				return err
			}
			if !one.Equal(at) || one.Location() != time.UTC || maybe == nil || !maybe.Equal(at) || none != nil {
				t.Errorf("times = %v, %v, %v; want %v in UTC twice and nil", one, maybe, none, at.UTC())
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func TestAConnectionKilledByTheServerIsReplacedUnseen(t *testing.T) {
	db := databases.Open(t, dbctx.Postgres)
	pid := func() (pid int) {
		err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
			return tx.QueryRow(ctx, `SELECT pg_backend_pid()`).Scan(&pid)
		})
		if err != nil {
			t.Fatal(err)
		}
		return pid
	}
	first := pid()
	c, err := pgx.ConnectConfig(t.Context(), db.PgxConfig())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(t.Context())
	if _, err := c.Exec(t.Context(), `SELECT pg_terminate_backend($1, 5000)`, first); err != nil {
		t.Fatal(err)
	}
	if second := pid(); second == first {
		t.Errorf("the killed connection %d was handed out again", first)
	}
}

func TestEchoLogsStatementsWithoutTheirArguments(t *testing.T) {
	for _, d := range []dbctx.Dialect{dbctx.SQLite, dbctx.Postgres} {
		for _, debug := range []bool{true, false} {
			var log bytes.Buffer
			db, err := dbctx.Open(t.Context(), databases.URL(t, d), dbctx.Pool{Size: 1, Echo: debug, Logger: slog.New(slog.NewTextHandler(&log, nil))})
			if err != nil {
				t.Fatal(err)
			}
			err = dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
				tx.Queue(addNote, 1, "ada@example.com")
				return nil
			})
			db.Close()
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(log.String(), "INSERT INTO notes") != debug || strings.Contains(log.String(), "ada@") {
				t.Errorf("%s with echo %v logged:\n%s", d, debug, &log)
			}
		}
	}
}

func TestClosingLeavesNothingBehind(t *testing.T) {
	for _, d := range []dbctx.Dialect{dbctx.SQLite, dbctx.Postgres} {
		url := databases.URL(t, d)
		standing := goleak.IgnoreCurrent()
		db, err := dbctx.Open(t.Context(), url, dbctx.Pool{Size: 3})
		if err != nil {
			t.Fatal(err)
		}
		expect(t, db)
		db.Close()
		if err := goleak.Find(standing); err != nil {
			t.Errorf("%s: %v", d, err)
		}
	}
}
