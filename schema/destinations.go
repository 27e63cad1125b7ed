package schema

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/leadmill/leadmill/dbctx"
)

// Destination is where leads go: a webhook.
type Destination struct {
	ID            int64
	Name          string
	URL           string
	Secret        string  // "whsec_" and base64, as in Standard Webhooks
	AllowPrivate  bool    // loopback and private addresses may be called
	NotIdempotent bool    // it would take a repeat for something new, so a call that may have arrived is not made again
	Rate          float64 // calls a second, of all processes together; 0 no limit
	Concurrency   int     // calls at once, of all processes together; 0 no limit
	Active        bool    // false: it asked not to be called again, or a person stopped it
	StoppedReason string
	CreatedAt     time.Time
}

// Limited says whether calls must be counted across the fleet.
func (d Destination) Limited() bool { return d.Rate > 0 || d.Concurrency > 0 }

// Limits tells them in words, "" if there are none.
func (d Destination) Limits() string {
	var limits []string
	if d.Rate > 0 {
		limits = append(limits, strconv.FormatFloat(d.Rate, 'g', -1, 64)+" a second")
	}
	if d.Concurrency > 0 {
		limits = append(limits, strconv.Itoa(d.Concurrency)+" at once")
	}
	return strings.Join(limits, ", ")
}

const destinationColumns = `d.id, d.name, d.url, d.secret, d.allow_private, NOT d.idempotent, d.rate, d.concurrency, d.active,
	d.stopped_reason, d.created_at`

// fields are where destinationColumns are read to.
func (d *Destination) fields() []any {
	return []any{&d.ID, &d.Name, &d.URL, &d.Secret, &d.AllowPrivate, &d.NotIdempotent, &d.Rate, &d.Concurrency, &d.Active,
		&d.StoppedReason, &d.CreatedAt}
}

func scanDestination(row dbctx.Scanner) (d Destination, err error) { return d, row.Scan(d.fields()...) }

// InsertDestination makes a destination. ErrExists if the name is taken.
func InsertDestination(ctx context.Context, tx *dbctx.Tx, d Destination, now time.Time) (Destination, error) {
	d.Active, d.CreatedAt = true, now
	err := tx.QueryRow(ctx, `INSERT INTO destinations (name, url, secret, allow_private, idempotent, rate, concurrency, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (name) DO NOTHING RETURNING id`,
		d.Name, d.URL, d.Secret, d.AllowPrivate, !d.NotIdempotent, d.Rate, d.Concurrency, now).Scan(&d.ID)
	if err == dbctx.ErrNoRows {
		return Destination{}, fmt.Errorf("destination %s: %w", d.Name, ErrExists)
	}
	return d, err
}

// UpsertDestination makes a destination or gives a known one this URL, secret, nature and limits, and starts it again if it
// was stopped.
func UpsertDestination(ctx context.Context, tx *dbctx.Tx, d Destination, now time.Time) (Destination, error) {
	d.Active, d.StoppedReason = true, ""
	err := tx.QueryRow(ctx, `INSERT INTO destinations (name, url, secret, allow_private, idempotent, rate, concurrency, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (name) DO UPDATE SET url = excluded.url, secret = excluded.secret,
			allow_private = excluded.allow_private, idempotent = excluded.idempotent, rate = excluded.rate,
			concurrency = excluded.concurrency, active = true, stopped_reason = ''
		RETURNING id, created_at`, d.Name, d.URL, d.Secret, d.AllowPrivate, !d.NotIdempotent, d.Rate, d.Concurrency, now).
		Scan(&d.ID, &d.CreatedAt)
	return d, err
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
	return oneOf(n, err, "destination", name)
}

// LimitDestination changes how often and how many at once a destination may be called; ErrNotFound if there is none of that
// name.
func LimitDestination(ctx context.Context, tx *dbctx.Tx, name string, rate float64, concurrency int) error {
	n, err := tx.Exec(ctx, `UPDATE destinations SET rate = $2, concurrency = $3, line_until = 0 WHERE name = $1`, name, rate, concurrency)
	return oneOf(n, err, "destination", name)
}

// Traffic is what the whole fleet does at a destination, by the database's clock. Times are in microseconds since 1970.
type Traffic struct {
	Now         int64
	CalledUntil int64 // the calls that were made have used up the rate until then
	LineUntil   int64 // the rate is promised until then to deliveries that wait
	Calling     int   // calls under way
}

// LockTraffic reads it for a delivery that wants to be made, not counting that one, and keeps it from changing until the
// scope ends. The lock lets new deliveries be planned meanwhile.
func LockTraffic(ctx context.Context, tx *dbctx.Tx, destinationID, deliveryID int64) (t Traffic, err error) {
	// Two statements: the second sees what was committed while the first waited.
	tx.Queue(lockDestination.on(tx), destinationID)
	err = tx.QueryRow(ctx, traffic.on(tx), destinationID, deliveryID).Scan(&t.Now, &t.CalledUntil, &t.LineUntil, &t.Calling)
	return t, err
}

// A mark that is older than an hour belongs to a job that was given up: no call takes that long.
const readTraffic = `, d.called_until, d.line_until,
	(SELECT count(*) FROM deliveries v WHERE v.destination_id = d.id AND v.state = 'calling' AND v.id <> $2 AND v.updated_at > %s)
	FROM destinations d WHERE d.id = $1`

var (
	lockDestination = both(`SELECT id FROM destinations WHERE id = $1 FOR NO KEY UPDATE`)
	traffic         = text{
		postgres: `SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint` +
			fmt.Sprintf(readTraffic, `clock_timestamp() - interval '1 hour'`),
		sqlite: `SELECT CAST(unixepoch('subsec') * 1000000 AS INTEGER)` +
			fmt.Sprintf(readTraffic, `strftime('%Y-%m-%d %H:%M:%f000+00:00', 'now', '-1 hour')`),
	}
)

// SaveTraffic writes what a decision on LockTraffic has made of the two lines.
func SaveTraffic(tx *dbctx.Tx, destinationID int64, t Traffic) {
	tx.Queue(`UPDATE destinations SET called_until = $2, line_until = $3 WHERE id = $1`, destinationID, t.CalledUntil, t.LineUntil)
}
