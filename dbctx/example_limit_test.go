package dbctx_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/leadmill/leadmill/dbctx"
)

// lockedByAnother is another process that writes, until letGo.
func lockedByAnother(db *dbctx.DB) (letGo func()) {
	handle, err := db.OpenSQL()
	if err != nil {
		panic(err)
	}
	theirs, err := handle.Begin()
	if err != nil {
		panic(err)
	}
	return func() { _ = theirs.Rollback(); _ = handle.Close() }
}

// Of two scopes that cannot both be right, the database ends one. Retry runs it again; fn must begin anew each time.
func ExampleRetry() {
	db, remove := open()
	defer remove()
	letGo := lockedByAnother(db)

	tries := 0
	err := dbctx.Run(context.Background(), db, func(ctx context.Context, tx *dbctx.Tx) error {
		if tries++; tries == 2 {
			letGo()
		}
		_, err := tx.Exec(ctx, `UPDATE leads SET score = score + 1`)
		return err
	}, dbctx.Isolation(dbctx.Serializable), dbctx.Retry(3), dbctx.Timeout(50*time.Millisecond))
	fmt.Println(tries, "tries:", err)
	// Output: 2 tries: <nil>
}

// A statement that runs too long, or waits too long for a lock, ends its scope.
func ExampleTimeout() {
	db, remove := open()
	defer remove()

	err := dbctx.Run(context.Background(), db, func(ctx context.Context, tx *dbctx.Tx) error {
		var n int
		return tx.QueryRow(ctx, `WITH RECURSIVE t (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT max(n) FROM t`).Scan(&n)
	}, dbctx.Timeout(50*time.Millisecond))
	fmt.Println(errors.Is(err, dbctx.ErrTimeout))
	// Output: true
}
