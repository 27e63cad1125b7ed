package schema

import (
	"context"
	"fmt"
	"time"

	"github.com/leadmill/leadmill/dbctx"
)

// Destination is where leads go: a webhook.
type Destination struct {
	ID            int64
	Name          string
	URL           string
	Secret        string // "whsec_" and base64, as in Standard Webhooks
	AllowPrivate  bool   // loopback and private addresses may be called
	Active        bool   // false: it asked not to be called again, or a person stopped it
	StoppedReason string
	CreatedAt     time.Time
}

const destinationColumns = `d.id, d.name, d.url, d.secret, d.allow_private, d.active, d.stopped_reason, d.created_at`

func scanDestination(row dbctx.Scanner) (d Destination, err error) {
	return d, row.Scan(&d.ID, &d.Name, &d.URL, &d.Secret, &d.AllowPrivate, &d.Active, &d.StoppedReason, &d.CreatedAt)
}

// InsertDestination makes a destination. ErrExists if the name is taken.
func InsertDestination(ctx context.Context, tx *dbctx.Tx, d Destination, now time.Time) (Destination, error) {
	d.Active, d.CreatedAt = true, now
	err := tx.QueryRow(ctx, `INSERT INTO destinations (name, url, secret, allow_private, created_at)
		VALUES ($1, $2, $3, $4, $5) ON CONFLICT (name) DO NOTHING RETURNING id`,
		d.Name, d.URL, d.Secret, d.AllowPrivate, now).Scan(&d.ID)
	if err == dbctx.ErrNoRows {
		return Destination{}, fmt.Errorf("destination %s: %w", d.Name, ErrExists)
	}
	return d, err
}

// UpsertDestination makes a destination or gives a known one this URL, secret and permission, and starts
// it again if it was stopped.
func UpsertDestination(ctx context.Context, tx *dbctx.Tx, d Destination, now time.Time) (Destination, error) {
	return scanDestination(tx.QueryRow(ctx, `INSERT INTO destinations (name, url, secret, allow_private, created_at)
		VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (name) DO UPDATE SET url = excluded.url, secret = excluded.secret,
			allow_private = excluded.allow_private, active = true, stopped_reason = ''
		RETURNING id, name, url, secret, allow_private, active, stopped_reason, created_at`, d.Name, d.URL, d.Secret, d.AllowPrivate, now))
}

// ListDestinations returns all destinations by name.
func ListDestinations(ctx context.Context, tx *dbctx.Tx) ([]Destination, error) {
	return dbctx.All(ctx, tx, scanDestination, `SELECT `+destinationColumns+` FROM destinations d ORDER BY d.name`)
}

// GetDestination returns one destination or ErrNotFound.
func GetDestination(ctx context.Context, tx *dbctx.Tx, id int64) (Destination, error) {
	d, err := scanDestination(tx.QueryRow(ctx, `SELECT `+destinationColumns+` FROM destinations d WHERE d.id = $1`, id))
	return d, notFound(err, "destination", id)
}

// StopDestination ends all calls to it until a person starts it again.
func StopDestination(tx *dbctx.Tx, id int64, reason string) {
	tx.Queue(`UPDATE destinations SET active = false, stopped_reason = $2 WHERE id = $1`, id, reason)
}

// StartDestination lets calls go on; ErrNotFound if there is no destination of that name.
func StartDestination(ctx context.Context, tx *dbctx.Tx, name string) error {
	n, err := tx.Exec(ctx, `UPDATE destinations SET active = true, stopped_reason = '' WHERE name = $1`, name)
	if err == nil && n == 0 {
		return fmt.Errorf("destination %s: %w", name, ErrNotFound)
	}
	return err
}
