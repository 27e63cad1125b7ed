package dbctx_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/leadmill/leadmill/dbctx"
)

// meeting is where the first attempts of two scopes wait for each other, so that they get into each other's way for certain. On
// SQLite they cannot: one waits for the other from its first statement on.
type meeting struct {
	t        *testing.T
	wg       sync.WaitGroup
	attempts atomic.Int64
}

func newMeeting(t *testing.T, db *dbctx.DB) *meeting {
	m := &meeting{t: t}
	if db.Dialect() == dbctx.Postgres {
		m.wg.Add(2)
	}
	return m
}

// wait counts an attempt by the place at which it is called.
func (m *meeting) wait(tx *dbctx.Tx, attempt int) {
	if attempt > 1 || tx.Dialect() == dbctx.SQLite {
		return
	}
	m.wg.Done()
	met := make(chan struct{})
	go func() { m.wg.Wait(); close(met) }()
	select {
	case <-met:
	case <-time.After(patience):
		m.t.Error("the other scope did not come")
	}
}

// both runs two scopes at the same time and returns what they said.
func (m *meeting) both(db *dbctx.DB, fn func(ctx context.Context, tx *dbctx.Tx, who int64, meet func()) error, opts ...dbctx.Option) (said [2]error) {
	var wg sync.WaitGroup
	for who := range said {
		wg.Go(func() {
			attempt := 0
			said[who] = dbctx.Run(m.t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
				attempt++
				m.attempts.Add(1)
				return fn(ctx, tx, int64(who), func() { m.wait(tx, attempt) })
			}, opts...)
		})
	}
	wg.Wait()
	return said
}

// expectAVictim wants more attempts than scopes on PostgreSQL, and no more on SQLite. The winner of a deadlock may lose the
// next one against the victim, so there may be more than one.
func (m *meeting) expectAVictim(db *dbctx.DB) {
	m.t.Helper()
	if got := m.attempts.Load(); (got > 2) != (db.Dialect() == dbctx.Postgres) {
		m.t.Errorf("%d attempts of two scopes", got)
	}
}

// signOff lets somebody go if somebody else stays: right for each alone, wrong for two who do not see each other.
func signOff(ctx context.Context, tx *dbctx.Tx, who int64, meet func()) error {
	onCall, err := count(ctx, tx)
	if err != nil {
		return err
	}
	meet()
	if onCall > 1 {
		tx.Queue(`DELETE FROM notes WHERE id = $1`, who)
	}
	return nil
}

func twoNotes(t *testing.T, db *dbctx.DB) {
	t.Helper()
	err := dbctx.Run(t.Context(), db, func(_ context.Context, tx *dbctx.Tx) error {
		tx.Queue(addNote, 0, "0")
		tx.Queue(addNote, 1, "0")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestSerializableScopesDecideOneAfterTheOther(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		twoNotes(t, db)
		m := newMeeting(t, db)
		if said := m.both(db, signOff, dbctx.Isolation(dbctx.Serializable), dbctx.Retry(5)); said != [2]error{} {
			t.Errorf("Run = %v, want two nil", said)
		}
		m.expectAVictim(db)
		if left := notes(t, db); len(left) != 1 {
			t.Errorf("on call: %v, want one of the two", left)
		}
	})
}

func TestBelowSerializableTwoMayDecideWithoutSeeingEachOther(t *testing.T) {
	db := databases.Open(t, dbctx.Postgres)
	for _, level := range []dbctx.Level{0, dbctx.ReadCommitted, dbctx.RepeatableRead} {
		twoNotes(t, db)
		if said := newMeeting(t, db).both(db, signOff, dbctx.Isolation(level)); said != [2]error{} {
			t.Errorf("level %d: Run = %v, want two nil", level, said)
		}
		expect(t, db) // the last test would prove nothing if it were otherwise
	}
}

func TestWithoutRetryTheVictimIsToldSo(t *testing.T) {
	db := databases.Open(t, dbctx.Postgres)
	twoNotes(t, db)
	m := newMeeting(t, db)
	said := m.both(db, signOff, dbctx.Isolation(dbctx.Serializable))
	if (said[0] == nil) == (said[1] == nil) || sqlState(errors.Join(said[:]...)) != "40001" {
		t.Errorf("Run = %v, want nil and one 40001", said)
	}
	if got := m.attempts.Load(); got != 2 {
		t.Errorf("%d attempts, want 2", got)
	}
}

// sqlState is the code of PostgreSQL's error, "" if it is none.
func sqlState(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return ""
}

// crosswise adds one to both notes, each scope from its own end.
func crosswise(ctx context.Context, tx *dbctx.Tx, who int64, meet func()) error {
	increment := func(id int64) error {
		_, err := tx.Exec(ctx, `UPDATE notes SET text = CAST(CAST(text AS integer) + 1 AS text) WHERE id = $1`, id)
		return err
	}
	if err := increment(who); err != nil {
		return err
	}
	meet()
	return increment(1 - who)
}

func TestADeadlockIsMended(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		twoNotes(t, db)
		m := newMeeting(t, db)
		if said := m.both(db, crosswise, dbctx.Retry(5)); said != [2]error{} {
			t.Errorf("Run = %v, want two nil", said)
		}
		m.expectAVictim(db)
		expectText(t, db, 0, "2")
		expectText(t, db, 1, "2")
	})
}

func expectText(t *testing.T, db *dbctx.DB, id int64, want string) {
	t.Helper()
	err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
		var got string
		err := tx.QueryRow(ctx, `SELECT text FROM notes WHERE id = $1`, id).Scan(&got)
		if got != want {
			t.Errorf("note %d is %q, want %q", id, got, want)
		}
		return err
	}, dbctx.ReadOnly())
	if err != nil {
		t.Error(err)
	}
}

func TestNoIncrementIsLostBetweenScopesThatReadAndThenWrite(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		twoNotes(t, db)
		const scopes, each = 4, 5
		var wg sync.WaitGroup
		for range scopes {
			wg.Go(func() {
				for range each {
					err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
						var n int
						if err := tx.QueryRow(ctx, `SELECT CAST(text AS integer) FROM notes WHERE id = 0`).Scan(&n); err != nil {
							return err
						}
						tx.Queue(`UPDATE notes SET text = $1 WHERE id = 0`, fmt.Sprint(n+1))
						return nil
					}, dbctx.Isolation(dbctx.RepeatableRead), dbctx.Retry(100))
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		expectText(t, db, 0, fmt.Sprint(scopes*each))
	})
}

// chosen makes every scope that calls become a victim until it is told to spare them: PostgreSQL says so itself, and on SQLite
// somebody else has the lock.
func chosen(t *testing.T, db *dbctx.DB) (become func(ctx context.Context, tx *dbctx.Tx) error, spare func()) {
	t.Helper()
	if db.Dialect() == dbctx.Postgres {
		spared := false
		become = func(ctx context.Context, tx *dbctx.Tx) error {
			if spared {
				return nil
			}
			_, err := tx.Exec(ctx, `DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40001'; END $$`)
			return err
		}
		return become, func() { spared = true }
	}
	theirs, err := neighbour(t, db).BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	spare = sync.OnceFunc(func() { _ = theirs.Rollback() })
	t.Cleanup(spare)
	return func(ctx context.Context, tx *dbctx.Tx) error { _, err := tx.Exec(ctx, `SELECT 1`); return err }, spare
}

// tired makes a wait for the lock of another process short on SQLite, where it is what makes a victim.
func tired(db *dbctx.DB) dbctx.Option {
	if db.Dialect() == dbctx.SQLite {
		return dbctx.Timeout(tight)
	}
	return dbctx.Timeout(patience)
}

func TestAVictimIsRunAgainUntilItSucceeds(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		become, spare := chosen(t, db)
		attempts, hooks := 0, []int{}
		err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
			attempts++
			attempt := attempts
			tx.AfterCommit(func() { hooks = append(hooks, attempt) })
			if attempt == 3 {
				spare()
			}
			tx.Queue(addNote, attempt, "a")
			return become(ctx, tx)
		}, tired(db), dbctx.Retry(5), dbctx.Once("job/1"))
		if err != nil || fmt.Sprint(hooks) != "[3]" {
			t.Errorf("Run = %v after %d attempts, hooks of attempts %v ran; want nil and the third's alone", err, attempts, hooks)
		}
		expect(t, db, 3)
	})
}

func TestAVictimIsRunAgainAsOftenAsItSays(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		become, _ := chosen(t, db)
		for retries, want := range map[int]int{-1: 1, 0: 1, 1: 2, 3: 4} {
			for name, end := range map[string]func(error) error{
				"passed on": func(err error) error { return err },
				"wrapped":   func(err error) error { return fmt.Errorf("work: %w", err) },
				"replaced":  func(error) error { return errOops },
				"swallowed": func(error) error { return nil },
			} {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				attempts := 0
				err := dbctx.Run(ctx, db, func(ctx context.Context, tx *dbctx.Tx) error {
					attempts++
					if attempts > want {
						cancel()
					}
					return end(become(ctx, tx))
				}, tired(db), dbctx.Retry(retries))
				cancel()
				if err == nil || attempts != want {
					t.Errorf("Retry(%d), the error is %s: Run = %v after %d attempts, want an error after %d", retries, name, err, attempts, want)
				}
			}
		}
	})
}

func TestOnlyAVictimIsRunAgain(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		twoNotes(t, db)
		takeKey(t, db, "taken")
		for name, fail := range map[string]func(ctx context.Context, tx *dbctx.Tx) error{
			"nil":                   nothing,
			"an error of its own":   func(context.Context, *dbctx.Tx) error { return errOops },
			"a unique violation":    add(1),
			"a queued violation":    func(_ context.Context, tx *dbctx.Tx) error { tx.Queue(addNote, 1, "a"); return nil },
			"a mistake in the text": func(ctx context.Context, tx *dbctx.Tx) error { _, err := tx.Exec(ctx, `SELECT FROM WHERE`); return err },
			"a Keep":                func(context.Context, *dbctx.Tx) error { return dbctx.Keep(errOops) },
			"a key that is taken": func(ctx context.Context, tx *dbctx.Tx) error {
				return dbctx.Run(ctx, db, nothing, dbctx.Once("taken"))
			},
			"an offence": func(_ context.Context, tx *dbctx.Tx) error { elsewhere(func() { tx.Queue(`x`) }); return nil },
			"a limit": func(ctx context.Context, tx *dbctx.Tx) error {
				_, err := tx.Exec(ctx, endless[tx.Dialect()])
				return err
			},
			"a panic": func(context.Context, *dbctx.Tx) error { panic(errOops) },
		} {
			attempts := 0
			var err error
			func() {
				defer func() { _ = recover() }()
				err = dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
					attempts++
					return fail(ctx, tx)
				}, dbctx.Timeout(time.Second), dbctx.Retry(3))
			}()
			if attempts != 1 {
				t.Errorf("%s: %d attempts, Run = %v; want 1", name, attempts, err)
			}
		}
		expect(t, db, 0, 1)
	})
}

func takeKey(t *testing.T, db *dbctx.DB, key string) {
	t.Helper()
	err := dbctx.Run(t.Context(), db, func(_ context.Context, tx *dbctx.Tx) error { tx.Queue(`SELECT 1`); return nil }, dbctx.Once(key))
	if err != nil {
		t.Fatal(err)
	}
}

func TestANestedScopeIsRunAgainOnlyWithTheOutermost(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		become, _ := chosen(t, db)
		for _, outer := range []int{0, 2} {
			outermost, nested := 0, 0
			err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
				outermost++
				return dbctx.Run(ctx, db, func(ctx context.Context, tx *dbctx.Tx) error { nested++; return become(ctx, tx) }, dbctx.Retry(5))
			}, tired(db), dbctx.Retry(outer))
			if err == nil || outermost != outer+1 || nested != outer+1 {
				t.Errorf("Retry(%d): Run = %v, %d attempts of the outermost, %d of the nested; want %d each", outer, err, outermost, nested, outer+1)
			}
		}
	})
}

func TestANestedVictimThatTheOuterScopeGetsOverIsNotRunAgain(t *testing.T) {
	db := databases.Open(t, dbctx.Postgres)
	become, _ := chosen(t, db)
	attempts := 0
	err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
		attempts++
		if err := dbctx.Run(ctx, db, become); sqlState(err) != "40001" {
			t.Errorf("the nested Run = %v, want 40001", err)
		}
		return add(1)(ctx, tx)
	}, dbctx.Retry(3))
	if err != nil || attempts != 1 {
		t.Errorf("Run = %v after %d attempts, want nil after 1", err, attempts)
	}
	expect(t, db, 1)
}

func TestAVictimWhoseContextHasEndedIsNotRunAgain(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		become, _ := chosen(t, db)
		ctx, cancel := context.WithCancel(t.Context())
		attempts := 0
		err := dbctx.Run(ctx, db, func(ctx context.Context, tx *dbctx.Tx) error {
			defer cancel()
			attempts++
			return become(ctx, tx)
		}, tired(db), dbctx.Retry(3))
		if err == nil || attempts != 1 {
			t.Errorf("Run = %v after %d attempts, want the victim's error after 1", err, attempts)
		}
	})
}

// A victim of its COMMIT is one like any other.
func TestAVictimOfItsCommitIsRunAgain(t *testing.T) {
	db := databases.Open(t, dbctx.Postgres)
	attempts := 0
	err := dbctx.Run(t.Context(), db, func(_ context.Context, tx *dbctx.Tx) error {
		attempts++
		tx.Queue(addNote, attempts, "a")
		if attempts == 1 {
			tx.Queue(`DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40P01'; END $$`)
		}
		return nil
	}, dbctx.Retry(1))
	if err != nil || attempts != 2 {
		t.Errorf("Run = %v after %d attempts, want nil after 2", err, attempts)
	}
	expect(t, db, 2)
}
