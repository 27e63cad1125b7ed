package dbctx_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/leadmill/leadmill/dbctx"
)

// A nested scope may fail in ways that the driver finds out before anything is sent. Whatever it is, the outer scope
// keeps what it queued before and behind.
func TestHoweverANestedScopeFailsTheOuterOneGoesOn(t *testing.T) {
	fails := map[string]func(ctx context.Context, tx *dbctx.Tx) error{
		"no such table": func(ctx context.Context, tx *dbctx.Tx) error {
			_, err := tx.Exec(ctx, `INSERT INTO nowhere VALUES (1)`)
			return err
		},
		"queued, no such table": func(ctx context.Context, tx *dbctx.Tx) error {
			tx.Queue(`INSERT INTO nowhere VALUES (1)`)
			_, err := tx.Exec(ctx, addNote, 7, "inner")
			return err
		},
		"no such type": func(ctx context.Context, tx *dbctx.Tx) error {
			_, err := tx.Exec(ctx, addNote, func() {}, "inner")
			return err
		},
		"swallowed": func(ctx context.Context, tx *dbctx.Tx) error {
			_, _ = tx.Exec(ctx, `INSERT INTO nowhere VALUES (1)`)
			return nil
		},
		"found out while reading": func(ctx context.Context, tx *dbctx.Tx) error {
			rows, err := tx.Query(ctx, addNote+` RETURNING id`, 1, "taken")
			if err == nil {
				rows.Close()
			}
			return nil
		},
	}
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		for name, fail := range fails {
			for _, begun := range []bool{false, true} {
				err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
					tx.Queue(addNote, 1, "before")
					if begun {
						if err := tx.QueryRow(ctx, `SELECT 1`).Scan(new(int)); err != nil {
							return err
						}
					}
					tx.Queue(addNote, 2, "before")
					if err := dbctx.Run(ctx, db, fail); err == nil {
						t.Errorf("%s: the nested scope succeeded", name)
					}
					tx.Queue(addNote, 3, "behind")
					return nil
				})
				if err != nil {
					t.Errorf("%s, begun %v: Run = %v", name, begun, err)
				}
				expect(t, db, 1, 2, 3)
				clearNotes(t, db)
			}
		}
	})
}

func TestAFailureOfTheOuterScopeIsNotTakenBackByANestedOne(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
			tx.Queue(addNote, 1, "a")
			tx.Queue(addNote, 1, "the same id")
			_ = dbctx.Run(ctx, db, func(ctx context.Context, tx *dbctx.Tx) error {
				_, err := tx.Exec(ctx, addNote, 2, "inner")
				return err
			})
			return nil
		})
		if !dbctx.IsUniqueViolation(err) {
			t.Errorf("Run = %v, want the violation", err)
		}
		expect(t, db)
	})
}

func TestScopesNestTwoDeep(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		add := func(id int64, end error) func(context.Context, *dbctx.Tx) error {
			return func(ctx context.Context, tx *dbctx.Tx) error {
				if _, err := tx.Exec(ctx, addNote, id, "a"); err != nil {
					return err
				}
				return end
			}
		}
		err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
			err := dbctx.Run(ctx, db, func(ctx context.Context, tx *dbctx.Tx) error {
				tx.Queue(addNote, 1, "middle")
				if err := dbctx.Run(ctx, db, add(2, errOops)); err != errOops {
					t.Errorf("inner = %v", err)
				}
				return dbctx.Run(ctx, db, add(3, nil))
			})
			if err != nil {
				return err
			}
			err = dbctx.Run(ctx, db, func(ctx context.Context, tx *dbctx.Tx) error {
				if err := dbctx.Run(ctx, db, add(4, nil)); err != nil {
					return err
				}
				return errOops // takes 4 back too
			})
			if err != errOops {
				t.Errorf("middle = %v", err)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		expect(t, db, 1, 3)
	})
}

func TestAContextKeptFromANestedScopeIsRefused(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		var inner context.Context
		err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
			if _, err := tx.Exec(ctx, addNote, 1, "a"); err != nil {
				return err
			}
			if err := dbctx.Run(ctx, db, func(ctx context.Context, _ *dbctx.Tx) error { inner = ctx; return nil }); err != nil {
				return err
			}
			if err := dbctx.Run(inner, db, nothing); !errors.Is(err, dbctx.ErrTxDone) {
				t.Errorf("Run in the nested scope that has ended = %v, want ErrTxDone", err)
			}
			return nil
		})
		if !errors.Is(err, dbctx.ErrTxDone) {
			t.Errorf("Run = %v, want ErrTxDone for the whole scope", err)
		}
		expect(t, db)
	})
}

func nothing(context.Context, *dbctx.Tx) error { return nil }

func TestTheContextOfAScopeThatHasEndedOpensANewOne(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
			tx.AfterCommit(func() {
				if err := dbctx.Run(ctx, db, nothing); err != nil {
					t.Errorf("Run in a hook = %v, want a scope of its own", err)
				}
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func TestAScopeDoesNotHangOnTheContextThatBeganIt(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
			short, cancel := context.WithCancel(ctx)
			_, err := tx.Exec(short, addNote, 1, "begins")
			cancel()
			if err != nil {
				return err
			}
			_, err = tx.Exec(ctx, addNote, 2, "goes on")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		expect(t, db, 1, 2)
	})
}

// A statement that cannot leave has not reached the savepoint either, and the outer scope has lost nothing.
func TestANestedScopeThatFailsUnsentLeavesTheOuterOneUsable(t *testing.T) {
	fails := map[string]func(ctx context.Context, db *dbctx.DB) error{
		"its context has ended": func(ctx context.Context, db *dbctx.DB) error {
			ended, cancel := context.WithCancel(ctx)
			cancel()
			return dbctx.Run(ended, db, func(ctx context.Context, tx *dbctx.Tx) error {
				_, err := tx.Exec(ctx, addNote, 7, "inner")
				return err
			})
		},
		"it asks for what it cannot have": func(ctx context.Context, db *dbctx.DB) error {
			return dbctx.Run(ctx, db, func(ctx context.Context, _ *dbctx.Tx) error {
				return dbctx.Run(ctx, db, nothing, dbctx.Timeout(time.Minute))
			})
		},
	}
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		for name, fail := range fails {
			for _, begun := range []bool{false, true} {
				err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
					if begun {
						if err := tx.QueryRow(ctx, `SELECT 1`).Scan(new(int)); err != nil {
							return err
						}
					}
					tx.Queue(addNote, 1, "before")
					if err := fail(ctx, db); err == nil {
						t.Errorf("%s: the nested scope succeeded", name)
					}
					_, err := tx.Exec(ctx, addNote, 2, "behind")
					return err
				})
				if err != nil {
					t.Errorf("%s, begun %v: Run = %v", name, begun, err)
				}
				expect(t, db, 1, 2)
				clearNotes(t, db)
			}
		}
	})
}

// The savepoint of the second nested scope never leaves, because a write of the outer scope fails in front of it. That of
// the first still stands, and going back to it would take back what is kept and forget the failure.
func TestAFailureBetweenNestedScopesTakesBackNothingInSilence(t *testing.T) {
	bad := map[string]func(tx *dbctx.Tx){
		"no such table": func(tx *dbctx.Tx) { tx.Queue(`INSERT INTO nowhere VALUES (1)`) },
		"no such type":  func(tx *dbctx.Tx) { tx.Queue(addNote, func() {}, "a") },
		"taken":         func(tx *dbctx.Tx) { tx.Queue(addNote, 1, "again") },
	}
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		add := func(ctx context.Context, id int, then func(tx *dbctx.Tx)) error {
			return dbctx.Run(ctx, db, func(ctx context.Context, tx *dbctx.Tx) error {
				_, err := tx.Exec(ctx, addNote, id, "a")
				then(tx)
				return err
			})
		}
		for name, queue := range bad {
			for _, last := range []bool{true, false} { // in the first scope, or behind it
				err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
					err := add(ctx, 1, func(tx *dbctx.Tx) {
						if last {
							queue(tx)
						}
					})
					if err != nil {
						t.Errorf("%s: the first nested scope = %v", name, err)
					}
					if !last {
						queue(tx)
					}
					if add(ctx, 2, func(*dbctx.Tx) {}) == nil {
						t.Errorf("%s: the second nested scope succeeded", name)
					}
					return nil
				})
				if err == nil {
					t.Errorf("%s, queued last in the nested scope %v: Run = nil, want the failure of the queued write", name, last)
				}
				expect(t, db)
			}
		}
	})
}
