package jobs

import (
	"context"
	"fmt"
	"time"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/schema"
)

// The limits of a source hold over the whole fleet, so they are kept in a row and count by the database's clock, as those of
// destinations do (turn.go).
//
// The rate is a leaky bucket: each lead moves taken_until on by one interval, and something is taken if that is less
// ahead of the clock than the burst. A batch is taken whole if there is room for one lead, and then uses up the time of
// all: so no more than rate*t + burst + one batch come in t seconds. The day's count is exact.

// OverLimit says that a source has sent as much as it may.
type OverLimit struct {
	Wait time.Duration // until it may send again
	Day  bool          // it was the limit of the day
	Room int64         // how many may still come before: fewer than came together
}

// Error says which limit it was.
func (o *OverLimit) Error() string {
	if o.Room > 0 {
		return fmt.Sprintf("these are more leads than the source may still send in this day: send %d or fewer at once", o.Room)
	}
	if o.Day {
		return "the source has sent as many leads as it may in a day"
	}
	return "the source sends more leads a second than it may"
}

// Spend counts n leads of a source with these limits in the open scope; the error is an OverLimit if they are too many.
// Call it last: from here to the commit the source's other leads wait.
func (q *Queue) Spend(ctx context.Context, tx *dbctx.Tx, sourceID int64, l schema.SourceLimits, n int) error {
	if !l.Metered() || n == 0 {
		return nil
	}
	m, err := schema.LockMeter(ctx, tx, sourceID)
	if err != nil {
		return err
	}
	after, over := spend(l, m, int64(n))
	if over != nil {
		return over
	}
	schema.SaveMeter(tx, sourceID, after)
	return nil
}

const day = int64(24*time.Hour) / int64(time.Microsecond)

func spend(l schema.SourceLimits, m schema.Meter, n int64) (schema.Meter, *OverLimit) {
	if today := m.Now / day; m.Day != today {
		m.Day, m.Taken = today, 0
	}
	if l.PerDay > 0 && m.Taken+n > int64(l.PerDay) {
		return m, &OverLimit{Wait: micros((m.Day+1)*day - m.Now), Day: true, Room: max(0, int64(l.PerDay)-m.Taken)}
	}
	m.Taken += n
	if l.Rate <= 0 {
		return m, nil
	}
	interval := max(1, int64(float64(second)/l.Rate))
	free := m.TakenUntil - interval*int64(l.AtOnce()-1) // from then on there is room for one
	if free > m.Now {
		return m, &OverLimit{Wait: micros(free - m.Now)}
	}
	m.TakenUntil = max(m.TakenUntil, m.Now) + interval*n
	return m, nil
}

func micros(n int64) time.Duration { return time.Duration(n) * time.Microsecond }
