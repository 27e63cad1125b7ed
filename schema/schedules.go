package schema

import (
	"context"
	"time"

	"github.com/leadmill/leadmill/dbctx"
)

// Schedule is one line of the cron ledger.
type Schedule struct {
	Name   string
	Cron   string // five fields
	Zone   string // IANA name of the time zone the fields are read in
	Missed string // what happens to ticks that nobody was there for: skip, once or all
	LastAt *time.Time
	NextAt *time.Time
}

const scheduleColumns = `name, cron, zone, missed, last_at, next_at`

func scanSchedule(row dbctx.Scanner) (s Schedule, err error) {
	return s, row.Scan(&s.Name, &s.Cron, &s.Zone, &s.Missed, &s.LastAt, &s.NextAt)
}

// PutSchedule makes a schedule or changes a known one. Its next run is moved only if the cron text or the
// time zone changed, so that a restart never loses or repeats a tick.
func PutSchedule(tx *dbctx.Tx, s Schedule) {
	tx.Queue(`INSERT INTO schedules (name, cron, zone, missed, next_at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (name) DO UPDATE SET cron = excluded.cron, zone = excluded.zone, missed = excluded.missed,
			next_at = CASE WHEN schedules.cron = excluded.cron AND schedules.zone = excluded.zone
				THEN schedules.next_at ELSE excluded.next_at END`,
		s.Name, s.Cron, s.Zone, s.Missed, s.NextAt)
}

// TakeSchedules returns all schedules by name, locked until the scope ends.
func TakeSchedules(ctx context.Context, tx *dbctx.Tx) ([]Schedule, error) {
	return dbctx.All(ctx, tx, scanSchedule, takeSchedules.on(tx))
}

var takeSchedules = both(`SELECT ` + scheduleColumns + ` FROM schedules ORDER BY name FOR UPDATE`)

// MoveSchedule records the last run, nil if none was due, and the next.
func MoveSchedule(tx *dbctx.Tx, name string, last *time.Time, next time.Time) {
	tx.Queue(`UPDATE schedules SET last_at = coalesce($2, last_at), next_at = $3 WHERE name = $1`, name, last, next)
}

// ListSchedules returns all schedules by name.
func ListSchedules(ctx context.Context, tx *dbctx.Tx) ([]Schedule, error) {
	return dbctx.All(ctx, tx, scanSchedule, `SELECT `+scheduleColumns+` FROM schedules ORDER BY name`)
}
