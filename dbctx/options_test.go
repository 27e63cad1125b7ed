package dbctx_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/leadmill/leadmill/dbctx"
)

// one opens a database whose scopes all get the same connection.
func one(t *testing.T, d dbctx.Dialect) *dbctx.DB {
	t.Helper()
	db, err := dbctx.Open(t.Context(), databases.URL(t, d), dbctx.Pool{Size: 1, MaxOverflow: 1, Reserve: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db
}

// eachOne runs fn on one of each kind.
func eachOne(t *testing.T, fn func(t *testing.T, db *dbctx.DB)) {
	t.Helper()
	for _, d := range []dbctx.Dialect{dbctx.SQLite, dbctx.Postgres} {
		t.Run(string(d), func(t *testing.T) {
			t.Parallel()
			fn(t, one(t, d))
		})
	}
}

// neighbour is another process, as far as the database can tell.
func neighbour(t *testing.T, db *dbctx.DB) *sql.DB {
	t.Helper()
	other, err := db.OpenSQL()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = other.Close() })
	return other
}

func count(ctx context.Context, tx *dbctx.Tx) (n int64, err error) {
	return n, tx.QueryRow(ctx, `SELECT count(*) FROM notes`).Scan(&n)
}

func add(id int64) func(context.Context, *dbctx.Tx) error {
	return func(ctx context.Context, tx *dbctx.Tx) error {
		_, err := tx.Exec(ctx, addNote, id, "a")
		return err
	}
}

func TestALevelIsWhatAScopeSeesOfTheOthers(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		other := neighbour(t, db)
		for id, level := range []dbctx.Level{0, dbctx.ReadCommitted, dbctx.RepeatableRead, dbctx.Serializable} {
			var seen int64
			err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
				before, err := count(ctx, tx)
				if err != nil {
					return err
				}
				if _, err := other.ExecContext(ctx, addNote, id, "meanwhile"); err != nil {
					return err
				}
				behind, err := count(ctx, tx)
				seen = behind - before
				return err
			}, dbctx.Isolation(level), dbctx.ReadOnly())
			want := int64(0)
			if db.Dialect() == dbctx.Postgres && level < dbctx.RepeatableRead {
				want = 1
			}
			if err != nil || seen != want {
				t.Errorf("level %d: Run = %v and saw %d of the others' notes, want %d", level, err, seen, want)
			}
		}
	})
}

func TestAllOptionsHoldAtOnceAndOnlyForTheirScope(t *testing.T) {
	settings := []string{"transaction_isolation", "transaction_read_only", "statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"}
	db := one(t, dbctx.Postgres)
	ask := func(opts ...dbctx.Option) (got []string) {
		err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
			for _, name := range settings {
				var value string
				if err := tx.QueryRow(ctx, `SELECT current_setting($1)`, name).Scan(&value); err != nil {
					return err
				}
				got = append(got, value)
			}
			return nil
		}, opts...)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	plain := []string{"read committed", "off", "0", "0", "20s"} // the last is Pool.StallAfter
	for _, try := range []struct {
		name string
		opts []dbctx.Option
		want []string
	}{
		{"none", nil, plain},
		{"all", []dbctx.Option{dbctx.Isolation(dbctx.Serializable), dbctx.ReadOnly(), dbctx.Timeout(30 * time.Second), dbctx.Retry(1)},
			[]string{"serializable", "on", "30s", "30s", "30s"}},
		{"none, behind all", nil, plain},
		{"a limit and a key", []dbctx.Option{dbctx.Once("a"), dbctx.Timeout(1500 * time.Millisecond), dbctx.Isolation(dbctx.RepeatableRead)},
			[]string{"repeatable read", "off", "1500ms", "1500ms", "1500ms"}},
		{"a limit, read only", []dbctx.Option{dbctx.Timeout(time.Hour), dbctx.ReadOnly()}, []string{"read committed", "on", "1h", "1h", "1h"}},
		{"none, behind a limit", nil, plain},
	} {
		if diff := cmp.Diff(try.want, ask(try.opts...)); diff != "" {
			t.Errorf("%s: %s (-want +got):\n%s", try.name, settings, diff)
		}
	}
}

func TestSettingsHoldForEveryConnection(t *testing.T) {
	db := openPool(t, databases.URL(t, dbctx.Postgres), dbctx.Pool{Size: 1, Settings: map[string]string{"work_mem": "7MB", "enable_seqscan": "off"}})
	err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
		var memory, walks string
		err := tx.QueryRow(ctx, `SELECT current_setting('work_mem'), current_setting('enable_seqscan')`).Scan(&memory, &walks)
		if memory != "7MB" || walks != "off" {
			t.Errorf("work_mem is %s and enable_seqscan %s, want 7MB and off", memory, walks)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestASettingThatTheServerDoesNotKnowIsNamedAtTheOpening(t *testing.T) {
	_, err := dbctx.Open(t.Context(), databases.URL(t, dbctx.Postgres), dbctx.Pool{Settings: map[string]string{"work_memory": "7MB"}, ConnectAttempts: 1})
	if err == nil || !strings.Contains(err.Error(), "work_memory") {
		t.Errorf("got %v, want an error that names the setting", err)
	}
}

func TestANestedScopeCannotHaveWhatIsOfTheWholeTransaction(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		postgres := db.Dialect() == dbctx.Postgres
		for _, try := range []struct {
			name         string
			outer, inner []dbctx.Option
			refused      bool
		}{
			{"a limit", nil, []dbctx.Option{dbctx.Timeout(time.Minute)}, true},
			{"a limit in a limit", []dbctx.Option{dbctx.Timeout(time.Minute)}, []dbctx.Option{dbctx.Timeout(time.Minute)}, true},
			{"a higher level", []dbctx.Option{dbctx.Isolation(dbctx.RepeatableRead)}, []dbctx.Option{dbctx.Isolation(dbctx.Serializable)}, postgres},
			{"the same level", []dbctx.Option{dbctx.Isolation(dbctx.Serializable)}, []dbctx.Option{dbctx.Isolation(dbctx.Serializable)}, false},
			{"a lower level", []dbctx.Option{dbctx.Isolation(dbctx.Serializable)}, []dbctx.Option{dbctx.Isolation(dbctx.ReadCommitted)}, false},
			{"read only, which says nothing", nil, []dbctx.Option{dbctx.ReadOnly()}, false},
		} {
			var inner error
			err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
				tx.Queue(addNote, 1, "outer")
				inner = dbctx.Run(ctx, db, add(2), try.inner...)
				return nil // the refusal is not to be overlooked
			}, try.outer...)
			if try.refused != errors.Is(inner, dbctx.ErrOutermost) || try.refused != errors.Is(err, dbctx.ErrOutermost) || !try.refused && err != nil {
				t.Errorf("%s: the nested Run = %v, the outer one = %v; refused should be %v", try.name, inner, err, try.refused)
			}
			if try.refused {
				expect(t, db)
				continue
			}
			expect(t, db, 1, 2)
			clearNotes(t, db)
		}
	})
}

// endless never ends by itself.
var endless = map[dbctx.Dialect]string{
	dbctx.Postgres: `SELECT count(*) FROM pg_sleep(600)`,
	dbctx.SQLite:   `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n`,
}

// endlessRows are many before the limit comes.
const endlessRows = `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n`

// tight is a limit that is meant to be reached, ample one that is not.
const tight, ample = 50 * time.Millisecond, 10 * time.Second

func TestAStatementIsStoppedAtItsLimit(t *testing.T) {
	eachOne(t, func(t *testing.T, db *dbctx.DB) {
		statement := endless[db.Dialect()]
		inTime, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		for name, work := range map[string]func(ctx context.Context, tx *dbctx.Tx) error{
			"QueryRow": func(ctx context.Context, tx *dbctx.Tx) error {
				return tx.QueryRow(ctx, statement).Scan(new(int64))
			},
			"Exec": func(ctx context.Context, tx *dbctx.Tx) error { _, err := tx.Exec(ctx, statement); return err },
			"the first, behind what is queued": func(ctx context.Context, tx *dbctx.Tx) error {
				tx.Queue(addNote, 2, "a")
				_, err := count(ctx, tx)
				return errors.Join(err, tx.QueryRow(ctx, statement).Scan(new(int64)))
			},
			"queued":                 func(_ context.Context, tx *dbctx.Tx) error { tx.Queue(statement); return nil },
			"its error is swallowed": func(ctx context.Context, tx *dbctx.Tx) error { _, _ = tx.Exec(ctx, statement); return nil },
			"rows that never end": func(ctx context.Context, tx *dbctx.Tx) error {
				rows, err := tx.Query(ctx, endlessRows)
				if err != nil {
					return err
				}
				defer rows.Close()
				for rows.Next() {
				}
				return rows.Err()
			},
		} {
			start := time.Now()
			err := dbctx.Run(inTime, db, func(ctx context.Context, tx *dbctx.Tx) error {
				tx.AfterCommit(func() { t.Errorf("%s: a hook ran", name) })
				tx.Queue(addNote, 1, "a")
				return work(ctx, tx)
			}, dbctx.Timeout(tight))
			if took := time.Since(start); !errors.Is(err, dbctx.ErrTimeout) || errors.Is(err, dbctx.ErrCommitUnknown) || !contains(err, tight.String()) || took > ample {
				t.Errorf("%s: Run = %v after %s, want ErrTimeout of %s", name, err, took, tight)
			}
			expect(t, db)
		}
		if err := dbctx.Run(t.Context(), db, add(1)); err != nil {
			t.Errorf("the next scope = %v, want nil", err)
		}
		expect(t, db, 1)
	})
}

func TestAWaitForALockIsStoppedAtItsLimit(t *testing.T) {
	eachOne(t, func(t *testing.T, db *dbctx.DB) {
		theirs, err := neighbour(t, db).BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := theirs.Exec(addNote, 1, "theirs"); err != nil {
			t.Fatal(err)
		}
		inTime, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		for name, write := range map[string]func(ctx context.Context, tx *dbctx.Tx) error{
			"sent":   add(1),
			"queued": func(_ context.Context, tx *dbctx.Tx) error { tx.Queue(addNote, 1, "ours"); return nil },
		} {
			start := time.Now()
			err = dbctx.Run(inTime, db, write, dbctx.Timeout(tight))
			if took := time.Since(start); !errors.Is(err, dbctx.ErrTimeout) || took > 5*time.Second {
				t.Errorf("%s: Run = %v after %s, want ErrTimeout", name, err, took)
			}
		}
		if err := theirs.Rollback(); err != nil {
			t.Fatal(err)
		}
		if err := dbctx.Run(t.Context(), db, add(1), dbctx.Timeout(ample)); err != nil {
			t.Errorf("the lock is free: Run = %v, want nil", err)
		}
		expect(t, db, 1)
	})
}

// The neighbour's write waits for the scope's lock, and gets it while the scope still thinks: whoever ends it is not the scope.
func TestAScopeThatDoesNothingIsEndedAtItsLimit(t *testing.T) {
	eachOne(t, func(t *testing.T, db *dbctx.DB) {
		other := neighbour(t, db)
		inTime, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		for name, wakesUp := range map[string]func(ctx context.Context, tx *dbctx.Tx) error{
			"with a statement": add(2),
			"with a read":      func(ctx context.Context, tx *dbctx.Tx) error { _, err := count(ctx, tx); return err },
			"with the end":     func(context.Context, *dbctx.Tx) error { return nil },
			"with the last write": func(_ context.Context, tx *dbctx.Tx) error {
				tx.Queue(addNote, 2, "a")
				return nil
			},
			"with an error that it ignores": func(ctx context.Context, tx *dbctx.Tx) error { _ = add(2)(ctx, tx); return nil },
		} {
			err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
				tx.AfterCommit(func() { t.Errorf("%s: a hook ran", name) })
				if _, err := tx.Exec(ctx, addNote, 1, "ours"); err != nil {
					return err
				}
				if _, err := other.ExecContext(inTime, addNote, 1, "theirs"); err != nil {
					t.Errorf("%s: the neighbour's write = %v, want the lock of a scope that does nothing", name, err)
				}
				return wakesUp(ctx, tx)
			}, dbctx.Timeout(tight))
			if !errors.Is(err, dbctx.ErrTimeout) || errors.Is(err, dbctx.ErrCommitUnknown) {
				t.Errorf("it wakes up %s: Run = %v, want ErrTimeout", name, err)
			}
			expect(t, db, 1)
			clearNotes(t, db)
		}
	})
}

func TestALimitIsNotOneOfTheWhole(t *testing.T) {
	eachOne(t, func(t *testing.T, db *dbctx.DB) {
		const limit = time.Second
		err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
			for id := range int64(5) {
				if err := add(id)(ctx, tx); err != nil {
					return fmt.Errorf("statement %d: %w", id, err)
				}
				<-time.After(limit / 4) // a pause of its own each time
			}
			return nil
		}, dbctx.Timeout(limit))
		if err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
		expect(t, db, 0, 1, 2, 3, 4)
	})
}

// The connection is the same one: its limits must have gone with their scope.
func TestALimitEndsWithItsScope(t *testing.T) {
	const limit = time.Second
	eachOne(t, func(t *testing.T, db *dbctx.DB) {
		for name, end := range map[string]error{"commit": nil, "rollback": errOops} {
			err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
				if err := add(1)(ctx, tx); err != nil {
					return err
				}
				return end
			}, dbctx.Timeout(limit))
			if err != end {
				t.Fatalf("%s: Run = %v, want %v", name, err, end)
			}
			err = dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
				var patience string
				ask := map[dbctx.Dialect]string{dbctx.SQLite: `PRAGMA busy_timeout`, dbctx.Postgres: `SHOW lock_timeout`}[tx.Dialect()]
				want := map[dbctx.Dialect]string{dbctx.SQLite: "10000", dbctx.Postgres: "0"}[tx.Dialect()]
				if err := tx.QueryRow(ctx, ask).Scan(&patience); err != nil || patience != want {
					t.Errorf("behind a %s a lock is waited for %s, %v; want %s", name, patience, err, want)
				}
				<-time.After(limit + tight)
				return add(2)(ctx, tx)
			})
			if err != nil {
				t.Errorf("behind a %s: a scope without a limit that rested = %v, want nil", name, err)
			}
			clearNotes(t, db)
		}
	})
}

func TestANestedScopeThatReachesTheLimitLeavesTheOuterOneUsable(t *testing.T) {
	db := one(t, dbctx.Postgres)
	err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
		tx.Queue(addNote, 1, "a")
		err := dbctx.Run(ctx, db, func(ctx context.Context, tx *dbctx.Tx) error {
			tx.Queue(addNote, 2, "a")
			return tx.QueryRow(ctx, endless[dbctx.Postgres]).Scan(new(int64))
		})
		if !errors.Is(err, dbctx.ErrTimeout) {
			t.Errorf("the nested Run = %v, want ErrTimeout", err)
		}
		return add(3)(ctx, tx)
	}, dbctx.Timeout(time.Second))
	if err != nil {
		t.Errorf("Run = %v, want nil", err)
	}
	expect(t, db, 1, 3)
}

func TestACancelIsNotTakenForTheLimit(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		for name, last := range map[string]func(ctx context.Context, tx *dbctx.Tx) error{
			"queued": func(_ context.Context, tx *dbctx.Tx) error { tx.Queue(endless[tx.Dialect()]); return nil },
			"sent": func(ctx context.Context, tx *dbctx.Tx) error {
				_, err := tx.Exec(ctx, endless[tx.Dialect()])
				return err
			},
		} {
			ctx, cancel := context.WithCancelCause(t.Context())
			defer time.AfterFunc(tight, func() { cancel(errOops) }).Stop()
			err := dbctx.Run(ctx, db, last, dbctx.Timeout(ample))
			if !errors.Is(err, context.Canceled) || errors.Is(err, dbctx.ErrTimeout) {
				t.Errorf("%s: Run = %v, want Canceled and not ErrTimeout", name, err)
			}
		}
	})
}

func TestKeepCommitsAndGivesItsErrorBack(t *testing.T) {
	wrapped := fmt.Errorf("snooze: %w", dbctx.Keep(errOops))
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		for _, end := range []error{dbctx.Keep(errOops), wrapped} {
			for name, write := range map[string]func(context.Context, *dbctx.Tx) error{
				"sent":   add(1),
				"queued": func(_ context.Context, tx *dbctx.Tx) error { tx.Queue(addNote, 1, "a"); return nil },
			} {
				hooks := 0
				run := func(end error) error {
					return dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
						tx.AfterCommit(func() { hooks++ })
						return errors.Join(write(ctx, tx), end)
					}, dbctx.Once("job/1"))
				}
				err := run(end)
				if !errors.Is(err, errOops) || err.Error() != end.Error() || hooks != 1 {
					t.Errorf("%s, %v: Run = %v and %d hooks ran, want its error and one", name, end, err, hooks)
				}
				expect(t, db, 1)
				clearNotes(t, db)
				if err := run(nil); err != nil {
					t.Errorf("%s, %v: the same key again = %v, want nil: it was not kept", name, end, err)
				}
				if err := run(nil); !errors.Is(err, dbctx.ErrAlreadyDone) {
					t.Errorf("%s, %v: the same key a third time = %v, want ErrAlreadyDone", name, end, err)
				}
				clearNotes(t, db)
				forgetKeys(t, db)
			}
		}
	})
}

func forgetKeys(t *testing.T, db *dbctx.DB) {
	t.Helper()
	err := dbctx.Run(t.Context(), db, func(_ context.Context, tx *dbctx.Tx) error { tx.Queue(`DELETE FROM done_keys`); return nil })
	if err != nil {
		t.Fatal(err)
	}
}

func TestAKeptScopeThatWroteNothingIsJustAnError(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		for range 2 {
			err := dbctx.Run(t.Context(), db, func(context.Context, *dbctx.Tx) error { return dbctx.Keep(errOops) })
			if err != errOops {
				t.Errorf("Run = %v, want the error inside", err)
			}
		}
		if err := dbctx.Keep(nil); err != nil {
			t.Errorf("Keep(nil) = %v, want nil", err)
		}
	})
}

func TestWhatOutweighsKeep(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		for name, fail := range map[string]func(ctx context.Context, tx *dbctx.Tx, cancel func()){
			"a statement that failed":        func(ctx context.Context, tx *dbctx.Tx, _ func()) { _, _ = tx.Exec(ctx, `SELECT nothing FROM nowhere`) },
			"a queued statement that fails":  func(_ context.Context, tx *dbctx.Tx, _ func()) { tx.Queue(addNote, 1, "again") },
			"a context that has ended":       func(_ context.Context, _ *dbctx.Tx, cancel func()) { cancel() },
			"a Tx of a scope that has ended": func(ctx context.Context, _ *dbctx.Tx, _ func()) { useLate(ctx, db) },
			"another goroutine that used the Tx": func(ctx context.Context, tx *dbctx.Tx, _ func()) {
				elsewhere(func() { tx.Queue(addNote, 3, "a") })
			},
		} {
			ctx, cancel := context.WithCancel(t.Context())
			err := dbctx.Run(ctx, db, func(ctx context.Context, tx *dbctx.Tx) error {
				tx.AfterCommit(func() { t.Errorf("%s: a hook ran", name) })
				if err := add(1)(ctx, tx); err != nil {
					return err
				}
				fail(ctx, tx, cancel)
				return dbctx.Keep(errOops)
			})
			cancel()
			if err == nil {
				t.Errorf("%s: Run = nil", name)
			}
			expect(t, db)
		}
	})
}

// useLate uses the Tx of a nested scope behind its end.
func useLate(ctx context.Context, db *dbctx.DB) {
	var late *dbctx.Tx
	_ = dbctx.Run(ctx, db, func(_ context.Context, tx *dbctx.Tx) error { late = tx; return nil })
	late.Queue(addNote, 3, "late")
}

// elsewhere runs fn on a goroutine of its own and waits for it.
func elsewhere(fn func()) {
	done := make(chan struct{})
	go func() { defer close(done); fn() }()
	<-done
}

func TestANestedKeepIsOfItsSavepointAlone(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		for _, key := range []string{"", "inner"} {
			for _, wrap := range []func(error) error{func(err error) error { return err }, func(err error) error { return fmt.Errorf("inner: %w", err) }} {
				run := func(passOn bool) (err error) {
					return dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
						tx.Queue(addNote, 1, "outer")
						err := dbctx.Run(ctx, db, func(ctx context.Context, tx *dbctx.Tx) error {
							return errors.Join(add(2)(ctx, tx), wrap(dbctx.Keep(errOops)))
						}, dbctx.Once(key))
						if !errors.Is(err, errOops) {
							t.Errorf("the nested Run = %v, want its error", err)
						}
						if passOn {
							return err
						}
						return nil
					})
				}
				if err := run(true); !errors.Is(err, errOops) {
					t.Errorf("Run = %v, want the error that was passed on", err)
				}
				expect(t, db) // whoever passes it on does not ask for a commit by that
				for range 2 {
					if err := run(false); err != nil {
						t.Errorf("Run = %v, want nil: the key %q is never kept", err, key)
					}
					expect(t, db, 1, 2)
					clearNotes(t, db)
				}
			}
		}
	})
}
