package dbctx_test

import (
	"context"
	"testing"

	"github.com/leadmill/leadmill/dbctx"
)

func TestAnErrorThatHidesInTheRowsFailsTheScope(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		for name, read := range map[string]func(*dbctx.Rows){
			"closed": func(r *dbctx.Rows) { r.Close() },
			"read": func(r *dbctx.Rows) {
				for r.Next() {
				}
			},
			"left as it is": func(*dbctx.Rows) {},
		} {
			for _, begun := range []bool{false, true} {
				err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
					tx.Queue(addNote, 1, "a")
					if begun {
						if err := tx.QueryRow(ctx, `SELECT 1`).Scan(new(int)); err != nil {
							return err
						}
					}
					rows, err := tx.Query(ctx, addNote+` RETURNING id`, 1, "taken")
					if err == nil {
						read(rows)
					}
					return nil
				})
				if !dbctx.IsUniqueViolation(err) && name != "left as it is" || err == nil {
					t.Errorf("%s, begun %v: Run = %v, want the violation", name, begun, err)
				}
				expect(t, db)
			}
		}
	})
}

func TestRowsLeftOpenAreClosedWithTheScope(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
			tx.Queue(addNote, 1, "a")
			rows, err := tx.Query(ctx, `SELECT id FROM notes UNION SELECT 2`)
			if err != nil {
				return err
			}
			rows.Next()
			tx.Queue(addNote, 3, "b")
			return nil
		})
		if err != nil {
			t.Errorf("Run = %v", err)
		}
		expect(t, db, 1, 3)
	})
}

func TestAStatementBesideOpenRowsIsRefusedOnBothDatabases(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
			rows, err := tx.Query(ctx, `SELECT 1 UNION SELECT 2`)
			if err != nil {
				return err
			}
			for rows.Next() {
				if _, err := tx.Exec(ctx, addNote, 1, "a"); err == nil {
					t.Error("Exec beside open rows = nil, want an error")
				}
			}
			return rows.Err()
		})
		if err == nil {
			t.Error("Run = nil, want the refusal")
		}
		expect(t, db)
	})
}

func TestRowsReadToTheEndNeedNoClose(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
			tx.Queue(addNote, 1, "a")
			rows, err := tx.Query(ctx, `SELECT id FROM notes`)
			if err != nil {
				return err
			}
			for rows.Next() {
			}
			_, err = tx.Exec(ctx, addNote, 2, "b")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		expect(t, db, 1, 2)
	})
}

func TestRowsAskedThroughTheOuterTxEndWithTheNestedScope(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		for _, end := range []error{nil, errOops} {
			err := dbctx.Run(t.Context(), db, func(ctx context.Context, outer *dbctx.Tx) error {
				err := dbctx.Run(ctx, db, func(ctx context.Context, _ *dbctx.Tx) error {
					if _, err := outer.Query(ctx, `SELECT 1 UNION SELECT 2`); err != nil {
						return err
					}
					return end
				})
				if err != end {
					t.Errorf("nested Run = %v, want %v", err, end)
				}
				_, err = outer.Exec(ctx, addNote, 1, "goes on")
				return err
			})
			if err != nil {
				t.Errorf("the nested scope ends with %v: Run = %v", end, err)
			}
			expect(t, db, 1)
			clearNotes(t, db)
		}
	})
}
