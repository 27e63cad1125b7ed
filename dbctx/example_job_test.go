package dbctx_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/leadmill/leadmill/dbctx"
)

// rateLead is a job that may be handed out twice: after a crash, or because another worker was thought dead. The key makes
// its effects happen one time.
func rateLead(ctx context.Context, db *dbctx.DB, job int64, name string) error {
	return dbctx.Run(ctx, db, func(ctx context.Context, tx *dbctx.Tx) error {
		var score int
		err := tx.QueryRow(ctx, `SELECT score FROM leads WHERE name = $1`, name).Scan(&score)
		if errors.Is(err, dbctx.ErrNoRows) {
			return dbctx.Keep(errSnooze) // commits all but the key: the job comes again
		}
		if err != nil {
			return err
		}
		tx.Queue(`UPDATE leads SET score = $2 WHERE name = $1`, name, score+10)
		return nil
	}, dbctx.Once(fmt.Sprint("job/", job)))
}

var errSnooze = errors.New("the lead has not come yet; later")

// A job snoozes until its lead is there, works once, and changes nothing when it is handed out again.
func Example_job() {
	db, remove := open()
	defer remove()
	ctx := context.Background()

	fmt.Println(rateLead(ctx, db, 42, "Ada"))
	err := dbctx.Run(ctx, db, func(_ context.Context, tx *dbctx.Tx) error {
		tx.Queue(`INSERT INTO leads (name) VALUES ('Ada')`)
		return nil
	})
	fmt.Println(err)
	for range 2 {
		err := rateLead(ctx, db, 42, "Ada")
		fmt.Println(err, errors.Is(err, dbctx.ErrAlreadyDone))
	}
	// Output:
	// the lead has not come yet; later
	// <nil>
	// <nil> false
	// done already true
}

func ExampleOnce() {
	db, remove := open()
	defer remove()

	for range 2 {
		err := dbctx.Run(context.Background(), db, func(_ context.Context, tx *dbctx.Tx) error {
			tx.Queue(`INSERT INTO leads (name) VALUES ($1)`, "Ada")
			return nil
		}, dbctx.Once("cron/import/2026-03-02"))
		if errors.Is(err, dbctx.ErrAlreadyDone) {
			err = nil // as good as done
		}
		n, _ := countLeads(context.Background(), db)
		fmt.Println(n, err)
	}
	// Output:
	// 1 <nil>
	// 1 <nil>
}

// A try that fails, and must be remembered, is kept: Run returns its error, and what it wrote stands.
func ExampleKeep() {
	db, remove := open()
	defer remove()

	errRefused := errors.New("the receiver refused")
	err := dbctx.Run(context.Background(), db, func(_ context.Context, tx *dbctx.Tx) error {
		tx.Queue(`INSERT INTO leads (name) VALUES ($1)`, "a delivery, tried once")
		return dbctx.Keep(errRefused)
	})
	n, _ := countLeads(context.Background(), db)
	fmt.Println(err, n)
	// Output: the receiver refused 1
}
