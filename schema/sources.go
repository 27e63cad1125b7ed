package schema

import (
	"context"
	"fmt"
	"time"

	"github.com/leadmill/leadmill/dbctx"
)

// Source is where leads come from: a form, a program, a file.
type Source struct {
	ID        int64
	Name      string
	Country   string // ISO 3166 alpha-2, for telephone numbers written without one; "" unknown
	CreatedAt time.Time
}

const sourceColumns = `s.id, s.name, s.country, s.created_at`

func scanSource(row dbctx.Scanner) (s Source, err error) {
	return s, row.Scan(&s.ID, &s.Name, &s.Country, &s.CreatedAt)
}

// InsertSource makes a source with its first key. ErrExists if the name is taken.
func InsertSource(ctx context.Context, tx *dbctx.Tx, name, country, keyHash string, now time.Time) (Source, error) {
	s := Source{Name: name, Country: country, CreatedAt: now}
	err := tx.QueryRow(ctx, `INSERT INTO sources (name, country, created_at) VALUES ($1, $2, $3)
		ON CONFLICT (name) DO NOTHING RETURNING id`, name, country, now).Scan(&s.ID)
	if err == dbctx.ErrNoRows {
		return Source{}, fmt.Errorf("source %s: %w", name, ErrExists)
	}
	if err != nil {
		return Source{}, err
	}
	addKey(tx, s.ID, keyHash, now)
	return s, nil
}

// EnsureSource returns the source of that name and makes it, without a key, if there is none.
func EnsureSource(ctx context.Context, tx *dbctx.Tx, name string, now time.Time) (Source, error) {
	tx.Queue(`INSERT INTO sources (name, created_at) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING`, name, now)
	return SourceByName(ctx, tx, name)
}

// SourceByName returns ErrNotFound if there is none.
func SourceByName(ctx context.Context, tx *dbctx.Tx, name string) (Source, error) {
	s, err := scanSource(tx.QueryRow(ctx, `SELECT `+sourceColumns+` FROM sources s WHERE s.name = $1`, name))
	return s, notFound(err, "source", name)
}

// SourceByKeyHash returns the source that the key with this hash belongs to, or ErrNotFound.
func SourceByKeyHash(ctx context.Context, tx *dbctx.Tx, hash string) (Source, error) {
	s, err := scanSource(tx.QueryRow(ctx, `SELECT `+sourceColumns+`
		FROM source_keys k JOIN sources s ON s.id = k.source_id WHERE k.key_hash = $1`, hash))
	return s, notFound(err, "source", "of this key")
}

// RotateKey gives the source a new key; the old ones end with the commit.
func RotateKey(ctx context.Context, tx *dbctx.Tx, name, keyHash string, now time.Time) error {
	s, err := SourceByName(ctx, tx, name)
	if err != nil {
		return err
	}
	tx.Queue(`DELETE FROM source_keys WHERE source_id = $1`, s.ID)
	addKey(tx, s.ID, keyHash, now)
	return nil
}

func addKey(tx *dbctx.Tx, sourceID int64, keyHash string, now time.Time) {
	tx.Queue(`INSERT INTO source_keys (key_hash, source_id, created_at) VALUES ($1, $2, $3)`, keyHash, sourceID, now)
}

// ListSources returns all sources by name.
func ListSources(ctx context.Context, tx *dbctx.Tx) ([]Source, error) {
	return dbctx.All(ctx, tx, scanSource, `SELECT `+sourceColumns+` FROM sources s ORDER BY s.name`)
}
