package schema

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/leadmill/leadmill/dbctx"
)

// Source is where leads come from: a form, a program, a file.
type Source struct {
	ID        int64
	Name      string
	Country   string // ISO 3166 alpha-2, for telephone numbers written without one; "" unknown
	Limits    SourceLimits
	Form      Form
	Origins   []string // of pages on other sites that may send for it: "https://shop.example"
	Redirects []string // origins and URLs that its form may lead to
	CreatedAt time.Time
}

// SourceLimits are what a source may send at most, of all processes together. Zero values are no limits.
type SourceLimits struct {
	Rate     float64 // leads a second
	Burst    int     // leads at once; 0: what the rate gives in a second, at least one
	PerDay   int     // leads in a day of UTC
	MaxBytes int     // of one submission; 0: as many as we take
}

// Metered says whether leads must be counted across the fleet.
func (l SourceLimits) Metered() bool { return l.Rate > 0 || l.PerDay > 0 }

// AtOnce is how many leads may come at once under the rate.
func (l SourceLimits) AtOnce() int {
	if l.Burst > 0 {
		return l.Burst
	}
	return max(1, int(math.Ceil(l.Rate)))
}

// String tells them in words, "" if there are none.
func (l SourceLimits) String() string {
	var limits []string
	if l.Rate > 0 {
		limits = append(limits, strconv.FormatFloat(l.Rate, 'g', -1, 64)+" a second")
	}
	if l.Burst > 0 {
		limits = append(limits, strconv.Itoa(l.Burst)+" at once")
	}
	if l.PerDay > 0 {
		limits = append(limits, strconv.Itoa(l.PerDay)+" a day")
	}
	if l.MaxBytes > 0 {
		limits = append(limits, strconv.Itoa(l.MaxBytes)+" bytes each")
	}
	return strings.Join(limits, ", ")
}

// Form is the public side of a source: an address for forms, which cannot keep a key, and what tells people from programs.
type Form struct {
	ID       string        // of POST /f/{id}; "" there is none
	Secret   string        // signs when a form was opened
	Honeypot string        // the field that people do not see and leave empty; "" none
	MinTime  time.Duration // nobody fills in a form faster, in seconds; 0 is not looked at
}

const sourceColumns = `s.id, s.name, s.country, s.rate, s.burst, s.per_day, s.max_bytes, coalesce(s.form_id, ''), s.form_secret,
	s.honeypot, s.min_seconds, s.origins, s.redirects, s.created_at`

func scanSource(row dbctx.Scanner) (Source, error) { return readSource(row) }

// readSource reads sourceColumns, and what stands behind them into more.
func readSource(row dbctx.Scanner, more ...any) (s Source, err error) {
	var seconds int64
	var origins, redirects string
	err = row.Scan(append([]any{&s.ID, &s.Name, &s.Country, &s.Limits.Rate, &s.Limits.Burst, &s.Limits.PerDay, &s.Limits.MaxBytes,
		&s.Form.ID, &s.Form.Secret, &s.Form.Honeypot, &seconds, &origins, &redirects, &s.CreatedAt}, more...)...)
	if err != nil {
		return s, err
	}
	s.Form.MinTime = time.Duration(seconds) * time.Second
	if err := json.Unmarshal([]byte(origins), &s.Origins); err != nil {
		return s, err
	}
	return s, json.Unmarshal([]byte(redirects), &s.Redirects)
}

// InsertSource makes a source with its first key. ErrExists if the name is taken.
func InsertSource(ctx context.Context, tx *dbctx.Tx, name, country, keyHash string, now time.Time) (Source, error) {
	var id int64
	err := tx.QueryRow(ctx, `INSERT INTO sources (name, country, created_at) VALUES ($1, $2, $3)
		ON CONFLICT (name) DO NOTHING RETURNING id`, name, country, now).Scan(&id)
	if err == dbctx.ErrNoRows {
		return Source{}, fmt.Errorf("source %s: %w", name, ErrExists)
	}
	if err != nil {
		return Source{}, err
	}
	addKey(tx, id, keyHash, now)
	return SourceByName(ctx, tx, name)
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

// SourceByForm returns the source whose form has this public id, or ErrNotFound.
func SourceByForm(ctx context.Context, tx *dbctx.Tx, formID string) (Source, error) {
	s, err := scanSource(tx.QueryRow(ctx, `SELECT `+sourceColumns+` FROM sources s WHERE s.form_id = $1`, formID))
	return s, notFound(err, "source", "of this form")
}

// ListSources returns all sources by name.
func ListSources(ctx context.Context, tx *dbctx.Tx) ([]Source, error) {
	return dbctx.All(ctx, tx, scanSource, `SELECT `+sourceColumns+` FROM sources s ORDER BY s.name`)
}

// SetForm gives a source a form, or with an empty ID takes it away; ErrNotFound if there is no source of that name.
func SetForm(ctx context.Context, tx *dbctx.Tx, name string, f Form) error {
	n, err := tx.Exec(ctx, `UPDATE sources SET form_id = nullif($2, ''), form_secret = $3, honeypot = $4, min_seconds = $5
		WHERE name = $1`, name, f.ID, f.Secret, f.Honeypot, int64(f.MinTime/time.Second))
	return oneOf(n, err, "source", name)
}

// LockSource is SourceByName, and keeps the source from being changed by others until the scope ends.
func LockSource(ctx context.Context, tx *dbctx.Tx, name string) (Source, error) {
	s, err := scanSource(tx.QueryRow(ctx, lockSource.on(tx), name))
	return s, notFound(err, "source", name)
}

var lockSource = both(`SELECT ` + sourceColumns + ` FROM sources s WHERE s.name = $1 FOR NO KEY UPDATE OF s`)

// SetSites writes which pages on other sites may send for a source and where its form may lead to.
func SetSites(tx *dbctx.Tx, sourceID int64, origins, redirects []string) {
	tx.Queue(`UPDATE sources SET origins = $2, redirects = $3 WHERE id = $1`, sourceID, set(notNil(origins)), set(notNil(redirects)))
}

func notNil(list []string) []string { return append([]string{}, list...) }

// AllOrigins returns the origins that any source lists.
func AllOrigins(ctx context.Context, tx *dbctx.Tx) (origins []string, err error) {
	lists, err := dbctx.All(ctx, tx, func(row dbctx.Scanner) (list string, err error) { return list, row.Scan(&list) },
		allOrigins.on(tx))
	for _, text := range lists {
		var list []string
		if err := json.Unmarshal([]byte(text), &list); err != nil {
			return nil, err
		}
		origins = append(origins, list...)
	}
	return origins, err
}

var allOrigins = both(`SELECT origins FROM sources WHERE origins::text <> '[]'`)
