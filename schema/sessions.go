package schema

import (
	"context"
	"time"

	"github.com/leadmill/leadmill/dbctx"
)

// InsertSession logs a user in: whoever shows the token with this hash is that user until expires.
func InsertSession(ctx context.Context, tx *dbctx.Tx, tokenHash string, userID int64, now, expires time.Time) error {
	_, err := tx.Exec(ctx, `INSERT INTO sessions (token_hash, user_id, created_at, expires_at) VALUES ($1, $2, $3, $4)`,
		tokenHash, userID, now, expires)
	return err
}

// SessionUser returns the active user whose unexpired session this is, or ErrNotFound.
func SessionUser(ctx context.Context, tx *dbctx.Tx, tokenHash string, now time.Time) (User, error) {
	u, err := scanUser(tx.QueryRow(ctx, `SELECT `+userColumns+` FROM sessions s JOIN users u ON u.id = s.user_id
		WHERE s.token_hash = $1 AND s.expires_at > $2 AND u.active`, tokenHash, now))
	return u, notFound(err, "session", "of this token")
}

// DeleteSession logs out.
func DeleteSession(ctx context.Context, tx *dbctx.Tx, tokenHash string) error {
	_, err := tx.Exec(ctx, `DELETE FROM sessions WHERE token_hash = $1`, tokenHash)
	return err
}

// PurgeSessions removes expired ones.
func PurgeSessions(ctx context.Context, tx *dbctx.Tx, now time.Time) (int64, error) {
	return tx.Exec(ctx, `DELETE FROM sessions WHERE expires_at <= $1`, now)
}
