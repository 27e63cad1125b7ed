package schema

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/pressly/goose/v3"

	"github.com/leadmill/leadmill/dbctx"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migration is one step of the schema's history.
type Migration struct {
	Name    string
	Applied bool
	At      *time.Time // when it was applied; nil if it was not, or if nobody wrote it down
}

// Migrate brings the tables of this package up to date. Doing it again changes nothing.
func Migrate(ctx context.Context, db *dbctx.DB) error {
	return withProvider(db, func(p *goose.Provider) error {
		_, err := p.Up(ctx)
		return err
	})
}

// Migrations returns all steps, oldest first.
func Migrations(ctx context.Context, db *dbctx.DB) (steps []Migration, err error) {
	err = withProvider(db, func(p *goose.Provider) error {
		status, err := p.Status(ctx)
		for _, s := range status {
			step := Migration{Name: path.Base(s.Source.Path), Applied: s.State == goose.StateApplied}
			if step.Applied {
				step.At = &s.AppliedAt
			}
			steps = append(steps, step)
		}
		return err
	})
	return steps, err
}

func withProvider(db *dbctx.DB, do func(*goose.Provider) error) (err error) {
	handle, err := db.OpenSQL()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, handle.Close()) }()
	p, err := provider(db.Dialect(), handle)
	if err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	return do(p)
}

func provider(d dbctx.Dialect, handle *sql.DB) (*goose.Provider, error) {
	dialect := goose.DialectPostgres
	if d == dbctx.SQLite {
		dialect = goose.DialectSQLite3
	}
	return goose.NewProvider(dialect, handle, twins{migrations, "." + string(d) + ".sql"})
}

// twins shows goose only the files of one database.
type twins struct {
	fs.FS
	suffix string
}

// Glob is what goose finds migrations with: it asks for *.sql, then for *.go.
func (t twins) Glob(pattern string) ([]string, error) {
	if path.Ext(pattern) != ".sql" {
		return nil, nil
	}
	entries, err := fs.ReadDir(t.FS, "migrations")
	var names []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), t.suffix) {
			names = append(names, "migrations/"+e.Name())
		}
	}
	return names, err
}
