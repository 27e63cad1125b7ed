package dbctx_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leadmill/leadmill/dbctx"
)

// uses are the ways to use a scope. One that says nothing returns want.
func uses(db *dbctx.DB, want error) map[string]func(ctx context.Context, tx *dbctx.Tx) error {
	id := func(row dbctx.Scanner) (id int64, err error) { return id, row.Scan(&id) }
	return map[string]func(ctx context.Context, tx *dbctx.Tx) error{
		"Exec":     add(2),
		"Query":    func(ctx context.Context, tx *dbctx.Tx) error { _, err := tx.Query(ctx, `SELECT 1`); return err },
		"QueryRow": func(ctx context.Context, tx *dbctx.Tx) error { _, err := count(ctx, tx); return err },
		"All": func(ctx context.Context, tx *dbctx.Tx) error {
			_, err := dbctx.All(ctx, tx, id, `SELECT 1`)
			return err
		},
		"Pgx":   func(ctx context.Context, tx *dbctx.Tx) error { _, err := tx.Pgx(ctx); return err },
		"SQL":   func(ctx context.Context, tx *dbctx.Tx) error { _, err := tx.SQL(ctx); return err },
		"Queue": func(_ context.Context, tx *dbctx.Tx) error { tx.Queue(addNote, 3, "a"); return want },
		"AfterCommit": func(_ context.Context, tx *dbctx.Tx) error {
			tx.AfterCommit(func() { panic("a hook ran") })
			return want
		},
		"Bind": func(_ context.Context, tx *dbctx.Tx) error {
			return dbctx.Run(dbctx.Bind(context.Background(), tx), db, nothing)
		},
	}
}

func TestAScopeBelongsToItsGoroutine(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		elsewhereUses := uses(db, dbctx.ErrOtherGoroutine)
		elsewhereUses["Run"] = func(ctx context.Context, _ *dbctx.Tx) error { return dbctx.Run(ctx, db, add(4)) }
		for name, use := range elsewhereUses {
			for how, depth := range map[string]int{"of the scope": 0, "of a nested scope": 1, "of the outer one, while a nested one runs": 2} {
				err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
					tx.AfterCommit(func() { t.Errorf("%s %s: a hook ran", name, how) })
					tx.Queue(addNote, 1, "a")
					return below(ctx, db, tx, depth, func(ctx context.Context, tx *dbctx.Tx) {
						theirs := make(chan error)
						go func() { theirs <- use(ctx, tx) }()
						_, _ = count(ctx, tx) // meanwhile
						if err := <-theirs; !errors.Is(err, dbctx.ErrOtherGoroutine) {
							t.Errorf("%s %s from another goroutine = %v, want ErrOtherGoroutine", name, how, err)
						}
					})
				})
				if !errors.Is(err, dbctx.ErrOtherGoroutine) {
					t.Errorf("%s %s: Run = %v, want ErrOtherGoroutine though fn ignored it", name, how, err)
				}
			}
		}
		expect(t, db)
	})
}

// below runs fn with the scope itself, a scope nested in it, or itself inside a nested one. Errors are ignored.
func below(ctx context.Context, db *dbctx.DB, tx *dbctx.Tx, depth int, fn func(ctx context.Context, tx *dbctx.Tx)) error {
	if depth == 0 {
		fn(ctx, tx)
		return nil
	}
	_ = dbctx.Run(ctx, db, func(inner context.Context, innerTx *dbctx.Tx) error {
		if depth == 1 {
			ctx, tx = inner, innerTx
		}
		fn(ctx, tx)
		return nil
	})
	return nil
}

func TestRowsBelongToTheGoroutineOfTheirScope(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		for name, use := range map[string]func(rows *dbctx.Rows) error{
			"Next": func(rows *dbctx.Rows) error {
				if rows.Next() {
					return nil
				}
				return rows.Err()
			},
			"Scan":  func(rows *dbctx.Rows) error { return rows.Scan(new(int64)) },
			"Err":   func(rows *dbctx.Rows) error { return rows.Err() },
			"Close": func(rows *dbctx.Rows) error { rows.Close(); return dbctx.ErrOtherGoroutine },
		} {
			for _, meanwhile := range []bool{false, true} {
				err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
					tx.Queue(addNote, 1, "a")
					rows, err := tx.Query(ctx, `SELECT 1 UNION SELECT 2 UNION SELECT 3`)
					if err != nil {
						return err
					}
					rows.Next()
					theirs := make(chan error)
					go func() { theirs <- use(rows) }()
					if meanwhile {
						_ = rows.Scan(new(int64))
						rows.Close()
					}
					if err := <-theirs; !errors.Is(err, dbctx.ErrOtherGoroutine) {
						t.Errorf("%s from another goroutine, meanwhile used %v = %v, want ErrOtherGoroutine", name, meanwhile, err)
					}
					return nil
				})
				if !errors.Is(err, dbctx.ErrOtherGoroutine) {
					t.Errorf("%s, meanwhile used %v: Run = %v, want ErrOtherGoroutine", name, meanwhile, err)
				}
			}
		}
		expect(t, db)
	})
}

func TestARowBelongsToTheGoroutineOfItsScope(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
			tx.Queue(addNote, 1, "a")
			row := tx.QueryRow(ctx, `SELECT 1`)
			elsewhere(func() {
				if err := row.Scan(new(int64)); !errors.Is(err, dbctx.ErrOtherGoroutine) {
					t.Errorf("Scan from another goroutine = %v, want ErrOtherGoroutine", err)
				}
			})
			return nil
		})
		if !errors.Is(err, dbctx.ErrOtherGoroutine) {
			t.Errorf("Run = %v, want ErrOtherGoroutine", err)
		}
		expect(t, db)
	})
}

func TestAGoroutineMayHaveAScopeOfItsOwnBesideAnother(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
			if err := add(1)(ctx, tx); err != nil {
				return err
			}
			elsewhere(func() { expectNotes(t, db) })
			return nil
		})
		if err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
		expect(t, db, 1)
	})
}

// expectNotes is for a goroutine that may not end the test.
func expectNotes(t *testing.T, db *dbctx.DB) {
	err := dbctx.Run(context.Background(), db, func(ctx context.Context, tx *dbctx.Tx) error {
		n, err := count(ctx, tx)
		if n != 0 {
			t.Errorf("%d notes are seen from outside, want none", n)
		}
		return err
	}, dbctx.ReadOnly())
	if err != nil {
		t.Errorf("a scope with a context from outside = %v, want nil", err)
	}
}

func TestWhatIsKeptBeyondItsScopeIsOfNoUse(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		var late *dbctx.Tx
		var rows *dbctx.Rows
		err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) (err error) {
			late = tx
			rows, err = tx.Query(ctx, `SELECT 1 UNION SELECT 2`)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		for name, use := range uses(db, dbctx.ErrTxDone) {
			if name == "Bind" { // a scope of its own, as with any other context
				continue
			}
			if err := use(t.Context(), late); !errors.Is(err, dbctx.ErrTxDone) {
				t.Errorf("%s behind the end = %v, want ErrTxDone", name, err)
			}
		}
		if rows.Next() || !errors.Is(rows.Err(), dbctx.ErrTxDone) || !errors.Is(rows.Scan(new(int)), dbctx.ErrTxDone) {
			t.Errorf("rows behind the end: Err = %v, want ErrTxDone", rows.Err())
		}
		rows.Close()
		expect(t, db)
	})
}

func TestANestedTxUsedBehindItsEndTakesEverythingBack(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		for name, use := range uses(db, dbctx.ErrTxDone) {
			err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
				tx.AfterCommit(func() { t.Errorf("%s: a hook ran", name) })
				var late *dbctx.Tx
				if err := dbctx.Run(ctx, db, func(ctx context.Context, tx *dbctx.Tx) error { late = tx; return add(1)(ctx, tx) }); err != nil {
					return err
				}
				if err := use(ctx, late); !errors.Is(err, dbctx.ErrTxDone) {
					t.Errorf("%s behind the end of the nested scope = %v, want ErrTxDone", name, err)
				}
				if err := add(2)(ctx, tx); !errors.Is(err, dbctx.ErrTxDone) {
					t.Errorf("%s: the next statement = %v, want ErrTxDone at once", name, err)
				}
				return nil
			})
			if !errors.Is(err, dbctx.ErrTxDone) {
				t.Errorf("%s: Run = %v, want ErrTxDone", name, err)
			}
			expect(t, db)
		}
	})
}

// crm is another system, and what came to it.
type crm struct {
	url    string
	calls  atomic.Int64
	client *http.Client
}

func newCRM(t *testing.T) *crm {
	c := &crm{}
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { c.calls.Add(1) }))
	t.Cleanup(server.Close)
	c.url, c.client = server.URL, &http.Client{Transport: dbctx.Transport(server.Client().Transport)}
	return c
}

// body knows whether it was closed.
type body struct {
	io.Reader
	closed atomic.Bool
}

func (b *body) Close() error { b.closed.Store(true); return nil }

func (c *crm) call(ctx context.Context, payload io.Reader) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, payload)
	if err != nil {
		return err
	}
	answer, err := c.client.Do(request)
	if err != nil {
		return err
	}
	return answer.Body.Close()
}

func TestACallInsideAScopeIsRefusedAndTheScopeRollsBack(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		c := newCRM(t)
		for name, try := range map[string]func(ctx context.Context, call func(context.Context) error) error{
			"in the scope": func(ctx context.Context, call func(context.Context) error) error { return call(ctx) },
			"in a nested scope": func(ctx context.Context, call func(context.Context) error) error {
				return dbctx.Run(ctx, db, func(ctx context.Context, _ *dbctx.Tx) error { return call(ctx) })
			},
			"behind a nested scope, with its context": func(ctx context.Context, call func(context.Context) error) error {
				var inner context.Context
				if err := dbctx.Run(ctx, db, func(ctx context.Context, _ *dbctx.Tx) error { inner = ctx; return nil }); err != nil {
					return err
				}
				return call(inner)
			},
			"with a context of a context": func(ctx context.Context, call func(context.Context) error) error {
				ctx, cancel := context.WithTimeout(ctx, patience)
				defer cancel()
				return call(ctx)
			},
			"from another goroutine": func(ctx context.Context, call func(context.Context) error) (err error) {
				elsewhere(func() { err = call(ctx) })
				return err
			},
		} {
			payload := &body{Reader: strings.NewReader("{}")}
			err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
				tx.AfterCommit(func() { t.Errorf("%s: a hook ran", name) })
				if err := add(1)(ctx, tx); err != nil {
					return err
				}
				err := try(ctx, func(ctx context.Context) error { return c.call(ctx, payload) })
				if !errors.Is(err, dbctx.ErrCallInScope) {
					t.Errorf("%s: the call = %v, want ErrCallInScope", name, err)
				}
				return nil
			})
			if !errors.Is(err, dbctx.ErrCallInScope) {
				t.Errorf("%s: Run = %v, want ErrCallInScope though fn ignored it", name, err)
			}
			if !payload.closed.Load() || c.calls.Load() != 0 {
				t.Errorf("%s: body closed %v, %d calls arrived; want true and none", name, payload.closed.Load(), c.calls.Load())
			}
			expect(t, db)
		}
	})
}

func TestACallBesideAScopeIsMade(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		c := newCRM(t)
		var over context.Context
		err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
			over = ctx
			tx.AfterCommit(func() {
				if err := c.call(ctx, nil); err != nil {
					t.Errorf("a call in a hook = %v, want nil", err)
				}
			})
			if err := c.call(t.Context(), nil); err != nil {
				t.Errorf("a call with a context from outside = %v, want nil", err)
			}
			return add(1)(ctx, tx)
		})
		if err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
		if err := c.call(over, nil); err != nil {
			t.Errorf("a call behind the end = %v, want nil", err)
		}
		if c.calls.Load() != 3 {
			t.Errorf("%d calls arrived, want 3", c.calls.Load())
		}
		expect(t, db, 1)
	})
}

// A scope that is over, on another database, does not hide the one around it.
func TestACallIsRefusedWhateverIsBetweenItAndTheScope(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		c, other := newCRM(t), databases.Open(t, dbctx.SQLite)
		err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
			var over context.Context
			if err := dbctx.Run(ctx, other, func(ctx context.Context, tx *dbctx.Tx) error { over = ctx; return add(1)(ctx, tx) }); err != nil {
				return err
			}
			if err := c.call(over, nil); !errors.Is(err, dbctx.ErrCallInScope) {
				t.Errorf("the call = %v, want ErrCallInScope", err)
			}
			return add(1)(ctx, tx)
		})
		if !errors.Is(err, dbctx.ErrCallInScope) || c.calls.Load() != 0 {
			t.Errorf("Run = %v, %d calls arrived; want ErrCallInScope and none", err, c.calls.Load())
		}
		expect(t, db)
		expect(t, other, 1)
	})
}

func TestWithoutABaseTheTransportIsTheUsualOne(t *testing.T) {
	c := newCRM(t)
	c.client = &http.Client{Transport: dbctx.Transport(nil)}
	t.Cleanup(http.DefaultTransport.(*http.Transport).CloseIdleConnections)
	if err := c.call(t.Context(), nil); err != nil || c.calls.Load() != 1 {
		t.Errorf("the call = %v, %d arrived; want nil and 1", err, c.calls.Load())
	}
}

func TestCodeThatIsBoundToATestsTransactionIsTakenBackWithIt(t *testing.T) {
	type key struct{}
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		code := func(ctx context.Context, id int64, end error) error {
			return dbctx.Run(ctx, db, func(ctx context.Context, tx *dbctx.Tx) error {
				tx.AfterCommit(func() { t.Error("a hook ran") })
				if got := ctx.Value(key{}); got != "kept" {
					t.Errorf("the context's value = %v, want kept", got)
				}
				tx.Queue(addNote, id, "queued")
				return errors.Join(add(id+1)(ctx, tx), end)
			})
		}
		err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
			bound := dbctx.Bind(context.WithValue(t.Context(), key{}, "kept"), tx)
			if err := code(bound, 1, nil); err != nil {
				t.Errorf("the code = %v, want nil", err)
			}
			if err := code(bound, 3, errOops); !errors.Is(err, errOops) {
				t.Errorf("the code that fails = %v, want its error", err)
			}
			if n, err := count(ctx, tx); n != 2 || err != nil {
				t.Errorf("the test sees %d notes, %v; want the 2 of the code that succeeded", n, err)
			}
			if n := db.Stats().InUse; n != 1 {
				t.Errorf("%d connections in use, want the test's alone", n)
			}
			return errOops
		})
		if err != errOops {
			t.Errorf("Run = %v", err)
		}
		expect(t, db)
	})
}

func TestABoundContextEndsTheCodeAndNotTheTest(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
			ended, cancel := context.WithCancel(t.Context())
			cancel()
			if err := dbctx.Run(dbctx.Bind(ended, tx), db, add(1)); !errors.Is(err, context.Canceled) {
				t.Errorf("the code = %v, want Canceled", err)
			}
			return add(2)(ctx, tx)
		})
		if err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
		expect(t, db, 2)
	})
}

// Both databases are bound in one context: the code finds the scope of either.
func TestScopesOfTwoDatabasesAreBoundTogether(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		c, other := newCRM(t), databases.Open(t, dbctx.SQLite)
		err := dbctx.Run(t.Context(), db, func(_ context.Context, tx *dbctx.Tx) error {
			err := dbctx.Run(t.Context(), other, func(_ context.Context, otherTx *dbctx.Tx) error {
				ctx := dbctx.Bind(dbctx.Bind(t.Context(), tx), otherTx)
				for _, each := range []*dbctx.DB{db, other} {
					if err := dbctx.Run(ctx, each, add(1)); err != nil {
						t.Errorf("%s: the code = %v, want nil", each.Dialect(), err)
					}
				}
				return errOops
			})
			if err != errOops {
				t.Errorf("the other Run = %v", err)
			}
			return errOops
		})
		if err != errOops {
			t.Errorf("Run = %v", err)
		}
		expect(t, db)
		expect(t, other)
		var over context.Context
		err = dbctx.Run(t.Context(), db, func(_ context.Context, tx *dbctx.Tx) error {
			_ = dbctx.Run(t.Context(), other, func(_ context.Context, otherTx *dbctx.Tx) error {
				over = dbctx.Bind(dbctx.Bind(t.Context(), tx), otherTx)
				return nil
			})
			_ = c.call(over, nil)
			return nil
		})
		if !errors.Is(err, dbctx.ErrCallInScope) {
			t.Errorf("a call with a context that is bound to two, one of them over: Run = %v, want ErrCallInScope", err)
		}
	})
}

func TestAScopeInsideAnotherWithoutItsContextIsOneOfItsOwn(t *testing.T) {
	db := databases.Open(t, dbctx.Postgres)
	err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
		if err := add(1)(ctx, tx); err != nil {
			return err
		}
		if err := dbctx.Run(t.Context(), db, add(2)); err != nil {
			t.Errorf("the inner Run = %v, want nil: there are connections", err)
		}
		return errOops
	})
	if err != errOops {
		t.Errorf("Run = %v", err)
	}
	expect(t, db, 2)
}

func TestAScopeThatWouldWaitForItselfIsToldAtOnce(t *testing.T) {
	eachOne(t, func(t *testing.T, db *dbctx.DB) {
		dbctx.SetWait(db, time.Hour)
		for name, write := range map[string]func(ctx context.Context, tx *dbctx.Tx) error{
			"sent":   add(2),
			"queued": func(_ context.Context, tx *dbctx.Tx) error { tx.Queue(addNote, 2, "a"); return nil },
			"swallowed": func(ctx context.Context, tx *dbctx.Tx) error {
				tx.AfterCommit(func() { t.Error("a hook ran") })
				_ = add(2)(ctx, tx)
				return nil
			},
		} {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			err := dbctx.Run(ctx, db, func(ctx context.Context, tx *dbctx.Tx) error {
				if err := add(1)(ctx, tx); err != nil {
					return err
				}
				start := time.Now()
				err := dbctx.Run(t.Context(), db, write)
				if !errors.Is(err, dbctx.ErrScopeInScope) || dbctx.IsUnavailable(err) || time.Since(start) > patience {
					t.Errorf("%s: the inner Run = %v, want ErrScopeInScope at once", name, err)
				}
				return dbctx.Run(ctx, db, add(3)) // with its context it is nested
			})
			cancel()
			if err != nil {
				t.Errorf("%s: the outer Run = %v, want nil", name, err)
			}
			expect(t, db, 1, 3)
			clearNotes(t, db)
		}
	})
}

// Who waits for somebody else waits, though he has a scope open: a reader's connection is not what a writer waits for.
func TestAReaderThatWaitsForAnotherGoroutinesWriterIsPatient(t *testing.T) {
	db := databases.Open(t, dbctx.SQLite)
	free := make(chan struct{})
	held := make(chan error)
	var wg sync.WaitGroup
	wg.Go(func() {
		err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
			held <- add(1)(ctx, tx)
			<-free
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	if err := <-held; err != nil {
		t.Fatal(err)
	}
	err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
		if _, err := count(ctx, tx); err != nil {
			return err
		}
		waiting := make(chan struct{})
		go func() {
			defer close(waiting)
			eventually(func() bool { return db.Stats().Scopes == 3 })
			close(free)
		}()
		err := dbctx.Run(t.Context(), db, add(2))
		<-waiting
		return err
	}, dbctx.ReadOnly())
	if err != nil {
		t.Errorf("Run = %v, want nil behind the other writer", err)
	}
	wg.Wait()
	expect(t, db, 1, 2)
}

func TestAGuardIsNotTakenForADatabaseThatIsAway(t *testing.T) {
	for _, err := range []error{dbctx.ErrTxDone, dbctx.ErrOtherGoroutine, dbctx.ErrCallInScope, dbctx.ErrScopeInScope, dbctx.ErrOutermost} {
		if dbctx.IsUnavailable(fmt.Errorf("x: %w", err)) {
			t.Errorf("%v is taken for a database that is away", err)
		}
	}
}
