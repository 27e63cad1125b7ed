package schema

import (
	"context"
	"fmt"
	"time"

	"github.com/leadmill/leadmill/dbctx"
)

// SourceKey is what may be known of a key. The key itself is known to its holder only.
type SourceKey struct {
	ID        string // the first characters of the key's SHA-256: enough to name it, useless for anything else
	CreatedAt time.Time
	ExpiresAt *time.Time // nil: until it is revoked
	UsedAt    *time.Time // to the minute; nil never
}

// ValidAt says whether the key has not ended by then.
func (k SourceKey) ValidAt(t time.Time) bool { return k.ExpiresAt == nil || t.Before(*k.ExpiresAt) }

// keyID is how many characters of the hash name a key.
const keyID = 10

const keyColumns = `substr(k.key_hash, 1, 10), k.created_at, k.expires_at, k.used_at`

func (k *SourceKey) fields() []any { return []any{&k.ID, &k.CreatedAt, &k.ExpiresAt, &k.UsedAt} }

func scanKey(row dbctx.Scanner) (k SourceKey, err error) { return k, row.Scan(k.fields()...) }

// SourceByKeyHash returns the source that the key with this hash belongs to, and what is known of the key; ErrNotFound if
// there is none, or it has ended.
func SourceByKeyHash(ctx context.Context, tx *dbctx.Tx, hash string, now time.Time) (Source, SourceKey, error) {
	var k SourceKey
	s, err := readSource(tx.QueryRow(ctx, `SELECT `+sourceColumns+`, `+keyColumns+`
		FROM source_keys k JOIN sources s ON s.id = k.source_id
		WHERE k.key_hash = $1 AND (k.expires_at IS NULL OR k.expires_at > $2)`, hash, now), k.fields()...)
	return s, k, notFound(err, "source", "of this key")
}

// ListKeys returns the keys of a source, oldest first; also those that have ended, until they are purged.
func ListKeys(ctx context.Context, tx *dbctx.Tx, sourceID int64) ([]SourceKey, error) {
	return dbctx.All(ctx, tx, scanKey, `SELECT `+keyColumns+` FROM source_keys k WHERE k.source_id = $1
		ORDER BY k.created_at, k.key_hash`, sourceID)
}

// RotateKey gives the source a new key. The old ones end after the overlap, those that end sooner as they were to; without
// an overlap they are gone with the commit.
func RotateKey(ctx context.Context, tx *dbctx.Tx, name, keyHash string, now time.Time, overlap time.Duration) error {
	s, err := LockSource(ctx, tx, name)
	if err != nil {
		return err
	}
	if overlap > 0 {
		tx.Queue(`UPDATE source_keys SET expires_at = $2 WHERE source_id = $1 AND (expires_at IS NULL OR expires_at > $2)`,
			s.ID, now.Add(overlap))
	} else {
		tx.Queue(`DELETE FROM source_keys WHERE source_id = $1`, s.ID)
	}
	addKey(tx, s.ID, keyHash, now)
	return nil
}

// RevokeKey ends one key of a source with the commit; ErrNotFound if the source has no key of that id.
func RevokeKey(ctx context.Context, tx *dbctx.Tx, name, id string) error {
	s, err := SourceByName(ctx, tx, name)
	if err != nil {
		return err
	}
	if len(id) != keyID {
		return fmt.Errorf("key %s of source %s: %w", id, name, ErrNotFound)
	}
	n, err := tx.Exec(ctx, `DELETE FROM source_keys WHERE source_id = $1 AND substr(key_hash, 1, 10) = $2`, s.ID, id)
	return oneOf(n, err, "key of source "+name, id)
}

func addKey(tx *dbctx.Tx, sourceID int64, keyHash string, now time.Time) {
	tx.Queue(`INSERT INTO source_keys (key_hash, source_id, created_at) VALUES ($1, $2, $3)`, keyHash, sourceID, now)
}

// MarkKeyUsed writes that a key was used, unless that was written less than a minute before.
func MarkKeyUsed(tx *dbctx.Tx, hash string, now time.Time) {
	tx.Queue(`UPDATE source_keys SET used_at = $2 WHERE key_hash = $1 AND (used_at IS NULL OR used_at < $3)`,
		hash, now, now.Add(-time.Minute))
}

// PurgeExpiredKeys removes keys that ended before then.
func PurgeExpiredKeys(tx *dbctx.Tx, before time.Time) {
	tx.Queue(`DELETE FROM source_keys WHERE expires_at < $1`, before)
}
