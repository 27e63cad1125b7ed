package schema_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/lead/route"
	"github.com/leadmill/leadmill/schema"
)

func TestABookRemembersTheCredits(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, tx *dbctx.Tx) {
		for i, weight := range []int{3, 0, 2} {
			u := schema.User{Email: fmt.Sprintf("%d@example.com", i), Role: "operator", Weight: weight}
			must[schema.User](t)(schema.InsertUser(ctx, tx, u, at))
		}
		b := must[schema.Book](t)(schema.TakeBook(ctx, tx))
		if got, want := fmt.Sprint(b.Members), "[{1 3 0} {3 2 0}]"; got != want {
			t.Fatalf("members of a new book = %s, want %s", got, want)
		}
		_, b.Members = route.Assign(b.Members, 1)
		schema.SaveBook(tx, b)
		b = must[schema.Book](t)(schema.TakeBook(ctx, tx))
		if got, want := fmt.Sprint(b.Members), "[{1 3 -2} {3 2 2}]"; got != want {
			t.Errorf("members behind the first lead = %s, want %s", got, want)
		}
	})
}

func TestWhoGivesLeadsAwayWaitsForNobodyElse(t *testing.T) {
	t.Parallel()
	db := databases.Open(t, dbctx.Postgres)
	var taken []int
	var take func(ctx context.Context, more int) error
	take = func(ctx context.Context, more int) error {
		return dbctx.Run(ctx, db, func(_ context.Context, tx *dbctx.Tx) error {
			b, err := schema.TakeBook(t.Context(), tx)
			taken = append(taken, b.ID)
			if err != nil || more == 0 {
				return err
			}
			return take(t.Context(), more-1) // a scope of its own, while this one holds its book
		})
	}
	if err := take(t.Context(), 7); err != nil {
		t.Fatal(err)
	}
	if err := take(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(taken), "[1 2 3 4 5 6 7 8 1]"; got != want {
		t.Errorf("eight scopes at once and one behind them took the books %s, want %s", got, want)
	}
}

func TestWhenAllBooksAreTakenAScopeWaits(t *testing.T) {
	t.Parallel()
	db := databases.Open(t, dbctx.Postgres)
	last := make(chan int, 1)
	err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT id FROM credit_books FOR UPDATE`); err != nil {
			return err
		}
		go func() {
			defer close(last)
			err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
				b, err := schema.TakeBook(ctx, tx)
				last <- b.ID
				return err
			})
			if err != nil {
				t.Error(err)
			}
		}()
		return awaitBlocked(ctx, tx)
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := <-last; got != 8 {
		t.Errorf("the scope that waited took book %d, want the last", got)
	}
}

// awaitBlocked returns when another connection waits for a lock of this scope.
func awaitBlocked(ctx context.Context, tx *dbctx.Tx) error {
	for {
		var blocked bool
		err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid)))`).Scan(&blocked)
		if err != nil || blocked {
			return err
		}
	}
}
