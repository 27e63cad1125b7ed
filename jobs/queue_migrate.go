package jobs

import (
	"context"
	"fmt"

	"github.com/riverqueue/river/rivermigrate"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/schema"
)

// Migrate brings a database up to date: River's tables first, then ours. Any number of processes may do it at
// once, and doing it again changes nothing.
func Migrate(ctx context.Context, db *dbctx.DB) error {
	if db.Dialect() == dbctx.SQLite {
		return migrateSQLite(ctx, db)
	}
	return db.Exclusive(ctx, "leadmill/migrate", func(ctx context.Context) error { return migrate(ctx, db) })
}

// migrateSQLite does without a lock: each step is one transaction, so of two processes one fails at a step that
// the other has done, and goes on behind it.
func migrateSQLite(ctx context.Context, db *dbctx.DB) error {
	err := migrate(ctx, db)
	for tries := 0; err != nil && tries < 5 && ctx.Err() == nil; tries++ {
		err = migrate(ctx, db)
	}
	return err
}

func migrate(ctx context.Context, db *dbctx.DB) error {
	e, err := openEngine(ctx, db, nil)
	if err != nil {
		return err
	}
	defer e.close()
	if err := e.migrate(ctx); err != nil {
		return fmt.Errorf("the queue's tables: %w", err)
	}
	return schema.Migrate(ctx, db)
}

// Status lists all migrations, River's and ours, in the order they are applied.
func Status(ctx context.Context, db *dbctx.DB) ([]schema.Migration, error) {
	e, err := openEngine(ctx, db, nil)
	if err != nil {
		return nil, err
	}
	defer e.close()
	rivers, err := e.migrations(ctx)
	if err != nil {
		return nil, err
	}
	ours, err := schema.Migrations(ctx, db)
	return append(rivers, ours...), err
}

// Pending counts the migrations that this release needs and the database does not have.
func Pending(ctx context.Context, db *dbctx.DB) (n int, err error) {
	all, err := Status(ctx, db)
	for _, m := range all {
		if !m.Applied {
			n++
		}
	}
	return n, err
}

func (e *riverEngine[T]) migrate(ctx context.Context) error {
	m, err := rivermigrate.New(e.driver, nil)
	if err != nil {
		return err
	}
	_, err = m.Migrate(ctx, rivermigrate.DirectionUp, nil)
	return err
}

func (e *riverEngine[T]) migrations(ctx context.Context) ([]schema.Migration, error) {
	m, err := rivermigrate.New(e.driver, nil)
	if err != nil {
		return nil, err
	}
	existing, err := m.ExistingVersions(ctx)
	if err != nil {
		return nil, err
	}
	applied := map[int]bool{}
	for _, v := range existing {
		applied[v.Version] = true
	}
	var steps []schema.Migration
	for _, v := range m.AllVersions() {
		steps = append(steps, schema.Migration{Name: fmt.Sprintf("river %03d %s", v.Version, v.Name), Applied: applied[v.Version]})
	}
	return steps, nil
}
