package dbctx_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/leadmill/leadmill/dbctx"
)

// open makes a database for an example and returns what removes it.
func open() (db *dbctx.DB, remove func()) {
	folder, err := os.MkdirTemp("", "dbctx")
	if err != nil {
		panic(err)
	}
	db, err = dbctx.Open(context.Background(), "sqlite:///"+filepath.Join(folder, "leads.db"), dbctx.Pool{})
	if err != nil {
		panic(err)
	}
	err = dbctx.Run(context.Background(), db, func(_ context.Context, tx *dbctx.Tx) error {
		tx.Queue(`CREATE TABLE leads (name TEXT NOT NULL)`)
		tx.Queue(`CREATE TABLE done_keys (key TEXT PRIMARY KEY, at TIMESTAMP NOT NULL)`)
		return nil
	})
	if err != nil {
		panic(err)
	}
	return db, func() { db.Close(); os.RemoveAll(folder) }
}

func ExampleRun() {
	db, remove := open()
	defer remove()
	err := dbctx.Run(context.Background(), db, func(ctx context.Context, tx *dbctx.Tx) error {
		tx.Queue(`INSERT INTO leads (name) VALUES ($1)`, "Ada")
		var n int
		if err := tx.QueryRow(ctx, `SELECT count(*) FROM leads`).Scan(&n); err != nil {
			return err
		}
		fmt.Println("in the scope:", n)
		return errors.New("changed my mind")
	})
	fmt.Println("error:", err)
	err = dbctx.Run(context.Background(), db, func(ctx context.Context, tx *dbctx.Tx) error {
		var n int
		err := tx.QueryRow(ctx, `SELECT count(*) FROM leads`).Scan(&n)
		fmt.Println("afterwards:", n)
		return err
	}, dbctx.ReadOnly())
	fmt.Println("error:", err)
	// Output:
	// in the scope: 1
	// error: changed my mind
	// afterwards: 0
	// error: <nil>
}

func ExampleOnce() {
	db, remove := open()
	defer remove()
	for range 2 {
		err := dbctx.Run(context.Background(), db, func(_ context.Context, tx *dbctx.Tx) error {
			tx.Queue(`INSERT INTO leads (name) VALUES ($1)`, "Ada")
			return nil
		}, dbctx.Once("job/42"))
		fmt.Println(err)
	}
	// Output:
	// <nil>
	// done already
}
