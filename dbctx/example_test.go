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
		tx.Queue(`CREATE TABLE leads (name TEXT PRIMARY KEY, score INTEGER NOT NULL DEFAULT 0)`)
		tx.Queue(`CREATE TABLE done_keys (key TEXT PRIMARY KEY, at TIMESTAMP NOT NULL)`)
		return nil
	})
	if err != nil {
		panic(err)
	}
	return db, func() { db.Close(); os.RemoveAll(folder) }
}

// countLeads counts in a scope of its own, or in the one that ctx belongs to.
func countLeads(ctx context.Context, db *dbctx.DB) (n int, err error) {
	err = dbctx.Run(ctx, db, func(ctx context.Context, tx *dbctx.Tx) error {
		return tx.QueryRow(ctx, `SELECT count(*) FROM leads`).Scan(&n)
	}, dbctx.ReadOnly())
	return n, err
}

func ExampleRun() {
	db, remove := open()
	defer remove()
	ctx := context.Background()

	err := dbctx.Run(ctx, db, func(ctx context.Context, tx *dbctx.Tx) error {
		tx.Queue(`INSERT INTO leads (name) VALUES ($1)`, "Ada")
		tx.Queue(`INSERT INTO leads (name) VALUES ($1)`, "Grace")
		var n int
		if err := tx.QueryRow(ctx, `SELECT count(*) FROM leads`).Scan(&n); err != nil {
			return err
		}
		fmt.Println("the scope counts", n) // both left ahead of the question
		return nil                         // commits; an error would roll back
	})
	fmt.Println("it ended with", err)
	// Output:
	// the scope counts 2
	// it ended with <nil>
}

// A script opens, works in one scope and closes. Whatever goes wrong on the way, nothing of it stands.
func Example_script() {
	db, remove := open() // dbctx.Open(ctx, os.Getenv("DATABASE_URL"), dbctx.Pool{})
	defer remove()       // db.Close()
	ctx := context.Background()

	names := []string{"Ada", "Grace", "Ada"}
	err := dbctx.Run(ctx, db, func(_ context.Context, tx *dbctx.Tx) error {
		for _, name := range names {
			tx.Queue(`INSERT INTO leads (name) VALUES ($1)`, name)
		}
		return nil
	})
	if dbctx.IsUniqueViolation(err) {
		fmt.Println("a name is there twice; nothing was imported")
	}
	n, err := countLeads(ctx, db)
	fmt.Println(n, err)
	// Output:
	// a name is there twice; nothing was imported
	// 0 <nil>
}

// A nested Run is a savepoint: what fails in it takes back its own writes, and the outer scope goes on. Use the ctx and the Tx
// that it passes on.
func Example_nested() {
	db, remove := open()
	defer remove()

	err := dbctx.Run(context.Background(), db, func(ctx context.Context, tx *dbctx.Tx) error {
		for _, name := range []string{"Ada", "Ada", "Grace"} {
			err := dbctx.Run(ctx, db, func(ctx context.Context, tx *dbctx.Tx) error {
				_, err := tx.Exec(ctx, `INSERT INTO leads (name) VALUES ($1)`, name)
				return err
			})
			switch {
			case dbctx.IsUniqueViolation(err):
				fmt.Println(name, "is known")
			case err != nil:
				return err
			}
		}
		n, err := countLeads(ctx, db) // a Run of its own, and yet in this scope
		fmt.Println("leads:", n)
		return err
	})
	fmt.Println(err)
	// Output:
	// Ada is known
	// leads: 2
	// <nil>
}

// Hooks run when the outermost scope has committed, and not otherwise.
func ExampleTx_AfterCommit() {
	db, remove := open()
	defer remove()

	add := func(name string, end error) error {
		return dbctx.Run(context.Background(), db, func(_ context.Context, tx *dbctx.Tx) error {
			tx.Queue(`INSERT INTO leads (name) VALUES ($1)`, name)
			tx.AfterCommit(func() { fmt.Println("wake the workers for", name) })
			return end
		})
	}
	fmt.Println(add("Ada", nil))
	fmt.Println(add("Grace", errors.New("no such company")))
	// Output:
	// wake the workers for Ada
	// <nil>
	// no such company
}

// Whoever only reads says so: a write is refused, and on SQLite nobody waits for anybody.
func ExampleReadOnly() {
	db, remove := open()
	defer remove()

	err := dbctx.Run(context.Background(), db, func(ctx context.Context, tx *dbctx.Tx) error {
		n, err := tx.Exec(ctx, `DELETE FROM leads`)
		fmt.Println("deleted", n)
		return err
	}, dbctx.ReadOnly())
	fmt.Println("refused:", err != nil)
	// Output:
	// deleted 0
	// refused: true
}

// All reads every row of a query.
func ExampleAll() {
	db, remove := open()
	defer remove()

	type lead struct {
		Name  string
		Score int
	}
	err := dbctx.Run(context.Background(), db, func(ctx context.Context, tx *dbctx.Tx) error {
		tx.Queue(`INSERT INTO leads (name, score) VALUES ('Ada', 90), ('Grace', 80), ('Alan', 10)`)
		leads, err := dbctx.All(ctx, tx, func(row dbctx.Scanner) (l lead, err error) {
			return l, row.Scan(&l.Name, &l.Score)
		}, `SELECT name, score FROM leads WHERE score >= $1 ORDER BY name`, 50)
		fmt.Println(leads)
		return err
	})
	fmt.Println(err)
	// Output:
	// [{Ada 90} {Grace 80}]
	// <nil>
}
