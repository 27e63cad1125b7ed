package schema

import (
	"context"
	"fmt"
	"time"

	"github.com/leadmill/leadmill/dbctx"
)

// Hook is where a platform posts leads of a source, and what shows that it is the platform. Its secrets go nowhere but
// into comparisons, signatures and calls.
type Hook struct {
	SourceID     int64
	Source       string       // its name
	Limits       SourceLimits // of the source
	Kind         string       // one of hook.Kinds
	Secret       string       // google: SHA-256 of the key, hex; meta: the app's; standard: "whsec_" and base64
	OldSecret    string       // the one before; "" none
	OldUntil     *time.Time
	VerifyHash   string // meta: SHA-256 of the verify token, hex
	AccessToken  string // meta: of the page
	GraphURL     string // meta: where leads are fetched; "" hook.GraphURL
	AllowPrivate bool   // GraphURL may lead to private addresses
	Problem      string // meta: why no lead can be fetched until a person has done something; "" none
	CreatedAt    time.Time
	Open, Parked int64 // meta: leads that are being fetched, and that were given up; counted by ListHooks
}

// Secrets are those that are valid at that time.
func (h Hook) Secrets(now time.Time) []string {
	if h.OldUntil != nil && now.Before(*h.OldUntil) {
		return []string{h.Secret, h.OldSecret}
	}
	return []string{h.Secret}
}

const hookColumns = `h.source_id, s.name, s.rate, s.burst, s.per_day, s.max_bytes, h.kind, h.secret, h.old_secret,
	h.old_until, h.verify_hash, h.access_token, h.graph_url, h.allow_private, h.problem, h.created_at`

// fields are where hookColumns are read to.
func (h *Hook) fields() []any {
	return []any{&h.SourceID, &h.Source, &h.Limits.Rate, &h.Limits.Burst, &h.Limits.PerDay, &h.Limits.MaxBytes,
		&h.Kind, &h.Secret, &h.OldSecret, &h.OldUntil, &h.VerifyHash, &h.AccessToken, &h.GraphURL, &h.AllowPrivate, &h.Problem, &h.CreatedAt}
}

// InsertHook makes a hook. ErrExists if the source has one of this kind.
func InsertHook(ctx context.Context, tx *dbctx.Tx, h Hook, now time.Time) error {
	n, err := tx.Exec(ctx, `INSERT INTO hooks (source_id, kind, secret, verify_hash, access_token, graph_url, allow_private, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (source_id, kind) DO NOTHING`,
		h.SourceID, h.Kind, h.Secret, h.VerifyHash, h.AccessToken, h.GraphURL, h.AllowPrivate, now)
	if err == nil && n == 0 {
		return fmt.Errorf("%s hook of %s: %w", h.Kind, h.Source, ErrExists)
	}
	return err
}

// HookOf returns the hook of that kind of the source of that name, or ErrNotFound.
func HookOf(ctx context.Context, tx *dbctx.Tx, kind, source string) (h Hook, err error) {
	err = tx.QueryRow(ctx, `SELECT `+hookColumns+` FROM hooks h JOIN sources s ON s.id = h.source_id
		WHERE s.name = $1 AND h.kind = $2`, source, kind).Scan(h.fields()...)
	return h, notFound(err, kind+" hook of", source)
}

// RotateHook gives a hook the secret, verify token and access token that h has, and takes its problem for solved. The secret
// before stays valid until then; with nil it ends with the commit, as the one before that does in any case. If the secret
// stays, the one before it ends as it was to.
func RotateHook(ctx context.Context, tx *dbctx.Tx, h Hook, until *time.Time) error {
	n, err := tx.Exec(ctx, rotateHook.on(tx), h.SourceID, h.Kind, h.Secret, h.VerifyHash, h.AccessToken, until)
	return oneOf(n, err, h.Kind+" hook of", h.Source)
}

var rotateHook = both(`UPDATE hooks SET secret = $3, verify_hash = $4, access_token = $5, problem = '',
	old_secret = CASE WHEN $6::timestamptz IS NULL THEN '' WHEN secret = $3 THEN old_secret ELSE secret END,
	old_until = CASE WHEN $6::timestamptz IS NOT NULL AND secret = $3 THEN old_until ELSE $6::timestamptz END
	WHERE source_id = $1 AND kind = $2`)

// RemoveHook ends a hook; what came through it stays. ErrNotFound if there is none.
func RemoveHook(ctx context.Context, tx *dbctx.Tx, kind, source string) error {
	n, err := tx.Exec(ctx, `DELETE FROM hooks WHERE kind = $2 AND source_id = (SELECT id FROM sources WHERE name = $1)`, source, kind)
	return oneOf(n, err, kind+" hook of", source)
}

// FlagHook notes why a hook can fetch nothing, or that it can: "".
func FlagHook(tx *dbctx.Tx, sourceID int64, kind, problem string) {
	tx.Queue(`UPDATE hooks SET problem = $3 WHERE source_id = $1 AND kind = $2 AND problem <> $3`, sourceID, kind, problem)
}

// ForgetOldSecrets removes those whose time is over.
func ForgetOldSecrets(tx *dbctx.Tx, now time.Time) {
	tx.Queue(`UPDATE hooks SET old_secret = '', old_until = NULL WHERE old_until <= $1`, now)
}

// ListHooks returns all hooks by source and kind.
func ListHooks(ctx context.Context, tx *dbctx.Tx) ([]Hook, error) {
	return dbctx.All(ctx, tx, func(row dbctx.Scanner) (h Hook, err error) {
		return h, row.Scan(append(h.fields(), &h.Open, &h.Parked)...)
	}, `SELECT `+hookColumns+`,
		CASE h.kind WHEN 'meta' THEN (SELECT count(*) FROM fetches f WHERE f.source_id = h.source_id AND f.state = 'open') ELSE 0 END,
		CASE h.kind WHEN 'meta' THEN (SELECT count(*) FROM fetches f WHERE f.source_id = h.source_id AND f.state = 'parked') ELSE 0 END
		FROM hooks h JOIN sources s ON s.id = h.source_id ORDER BY s.name, h.kind`)
}
