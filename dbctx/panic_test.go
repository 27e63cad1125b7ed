package dbctx_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"testing"
	"time"

	"github.com/leadmill/leadmill/dbctx"
)

// explosive is an argument, and a place to read into, whose code panics.
type explosive struct{}

func (explosive) Value() (driver.Value, error) { panic(errOops) }

func (*explosive) Scan(any) error { panic(errOops) }

// Code of others runs in the middle of a trip. Its panic goes on upwards, and the connection goes home.
func TestAPanicInTheMiddleOfATripLeavesNothingBehind(t *testing.T) {
	trips := map[string]func(ctx context.Context, db *dbctx.DB, tx *dbctx.Tx) error{
		"an argument of the first statement": func(ctx context.Context, _ *dbctx.DB, tx *dbctx.Tx) error {
			_, err := tx.Exec(ctx, addNote, 2, explosive{})
			return err
		},
		"an argument of a lone statement": func(ctx context.Context, _ *dbctx.DB, tx *dbctx.Tx) error {
			if err := add(2)(ctx, tx); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, addNote, 3, explosive{})
			return err
		},
		"an argument behind a queued write": func(ctx context.Context, _ *dbctx.DB, tx *dbctx.Tx) error {
			if err := add(2)(ctx, tx); err != nil {
				return err
			}
			tx.Queue(addNote, 3, "a")
			return tx.QueryRow(ctx, `SELECT text FROM notes WHERE text = $1`, explosive{}).Scan(new(string))
		},
		"an argument that leaves with COMMIT": func(ctx context.Context, _ *dbctx.DB, tx *dbctx.Tx) error {
			err := add(2)(ctx, tx)
			tx.Queue(addNote, 3, explosive{})
			return err
		},
		"an argument that leaves with everything": func(_ context.Context, _ *dbctx.DB, tx *dbctx.Tx) error {
			tx.Queue(addNote, 3, explosive{})
			return nil
		},
		"a nested scope": func(ctx context.Context, db *dbctx.DB, _ *dbctx.Tx) error {
			return dbctx.Run(ctx, db, func(ctx context.Context, tx *dbctx.Tx) error {
				_, err := tx.Exec(ctx, addNote, 2, explosive{})
				return err
			})
		},
		"what rows are read into": func(ctx context.Context, _ *dbctx.DB, tx *dbctx.Tx) error {
			rows, err := tx.Query(ctx, `SELECT 1 UNION SELECT 2`)
			if err != nil {
				return err
			}
			rows.Next()
			return rows.Scan(&explosive{})
		},
		"what a row is read into": func(ctx context.Context, _ *dbctx.DB, tx *dbctx.Tx) error {
			tx.Queue(addNote, 2, "a")
			return tx.QueryRow(ctx, `SELECT 1`).Scan(&explosive{})
		},
	}
	eachOne(t, func(t *testing.T, db *dbctx.DB) {
		for name, trip := range trips {
			ctx, cancel := context.WithCancel(t.Context())
			func() {
				defer func() {
					if p := recover(); p != any(errOops) {
						t.Errorf("%s: recovered %v, want its panic", name, p)
					}
				}()
				err := dbctx.Run(ctx, db, func(ctx context.Context, tx *dbctx.Tx) error {
					tx.AfterCommit(func() { t.Errorf("%s: a hook ran", name) })
					tx.Queue(addNote, 1, "a")
					return trip(ctx, db, tx)
				})
				t.Errorf("%s: Run = %v", name, err)
			}()
			cancel() // as the end of a request does; nobody may be left who watches over the commit
			expect(t, db)
			if s := db.Stats(); s.Scopes != 0 {
				t.Errorf("%s: %d scopes are open behind the panic, want none", name, s.Scopes)
			}
			if err := dbctx.Run(t.Context(), db, add(1)); err != nil {
				t.Errorf("%s: the next scope = %v, want nil", name, err)
			}
			clearNotes(t, db)
		}
	})
}

// An argument that brings a time along is stored like any other time, so that both compare.
func TestATimeInsideAnArgumentIsATime(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		at := time.Date(2026, 3, 2, 9, 30, 0, 0, time.UTC)
		err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
			kind := map[dbctx.Dialect]string{dbctx.SQLite: "TIMESTAMP", dbctx.Postgres: "timestamptz"}[tx.Dialect()]
			if _, err := tx.Exec(ctx, `CREATE TABLE times (at `+kind+`)`); err != nil {
				return err
			}
			tx.Queue(`INSERT INTO times (at) VALUES ($1)`, sql.NullTime{Time: at, Valid: true})
			tx.Queue(`INSERT INTO times (at) VALUES ($1)`, sql.NullTime{})
			var same, unknown int
			var back sql.NullTime
			err := tx.QueryRow(ctx, `SELECT (SELECT count(*) FROM times WHERE at = $1), (SELECT count(*) FROM times WHERE at IS NULL), at
				FROM times WHERE at = $1`, at).Scan(&same, &unknown, &back)
			if same != 1 || unknown != 1 || !back.Valid || !back.Time.Equal(at) {
				t.Errorf("%d at the time, %d at none, read %v; want 1, 1 and %s", same, unknown, back, at)
			}
			return err
		})
		if err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
	})
}

// refuses is an argument, and a place to read into, that says no.
type refuses struct{}

func (refuses) Value() (driver.Value, error) { return nil, errOops }

func (*refuses) Scan(any) error { return errOops }

func TestAnArgumentThatSaysNoFailsTheScope(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		for name, trip := range map[string]func(ctx context.Context, tx *dbctx.Tx) error{
			"sent": func(ctx context.Context, tx *dbctx.Tx) error {
				_, err := tx.Exec(ctx, addNote, 2, refuses{})
				return err
			},
			"queued": func(_ context.Context, tx *dbctx.Tx) error { tx.Queue(addNote, 2, refuses{}); return nil },
			"asked": func(ctx context.Context, tx *dbctx.Tx) error {
				return tx.QueryRow(ctx, `SELECT text FROM notes WHERE text = $1`, refuses{}).Scan(new(string))
			},
			"read": func(ctx context.Context, tx *dbctx.Tx) error { return tx.QueryRow(ctx, `SELECT 1`).Scan(&refuses{}) },
		} {
			err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
				tx.Queue(addNote, 1, "a")
				return trip(ctx, tx)
			})
			if !errors.Is(err, errOops) || errors.Is(err, dbctx.ErrCommitUnknown) {
				t.Errorf("%s: Run = %v, want its error", name, err)
			}
			expect(t, db)
		}
	})
}
