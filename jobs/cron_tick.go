package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/schema"
)

// CronTick enqueues whatever the schedules say is due. It comes once a minute; what it does depends only on the
// ledger, so one tick too many or too few changes nothing.
type CronTick struct{}

// Kind is cron_tick.
func (CronTick) Kind() string { return "cron_tick" }

// Queue is maintenance.
func (CronTick) Queue() string { return Maintenance }

// schedule is a line of the ledger and the job it enqueues.
type schedule struct {
	name, cron, zone, missed string
	job                      func() Args
}

// schedules is the whole crontab.
var schedules = []schedule{
	{name: "purge", cron: "17 3 * * *", zone: "UTC", missed: "once", job: func() Args { return Purge{} }},
}

// mostTicks of a schedule are enqueued in one scope; the policy "all" makes up for the rest a minute later.
const mostTicks = 1000

func cronTick(ctx context.Context, s *Scope, _ CronTick) error {
	lines, err := schema.TakeSchedules(ctx, s.Tx)
	if err != nil {
		return err
	}
	for _, line := range lines {
		if err := s.run(ctx, line); err != nil {
			return fmt.Errorf("schedule %s: %w", line.Name, err)
		}
	}
	return nil
}

// run enqueues the due ticks of one schedule. A line that this release does not know is left for one that does, and one
// that this machine cannot read holds up no other.
func (s *Scope) run(ctx context.Context, line schema.Schedule) error {
	known, ok := s.q.findSchedule(line.Name)
	if !ok {
		return nil
	}
	ticks, next, err := ticksUntil(line, s.Now)
	if err != nil {
		s.q.options.Logger.Error("a schedule cannot be read and stays where it is", "schedule", line.Name, "error", err)
		return nil
	}
	if len(ticks) == 0 && next.Equal(*line.NextAt) {
		return nil
	}
	for _, at := range ticks {
		if err := s.tick(ctx, known, at); err != nil {
			return err
		}
	}
	var last *time.Time
	if len(ticks) > 0 {
		last = &ticks[len(ticks)-1]
	}
	schema.MoveSchedule(s.Tx, line.Name, last, next)
	return nil
}

// tick runs once for each schedule and time, whoever else thinks it is due.
func (s *Scope) tick(ctx context.Context, known schedule, at time.Time) error {
	key := "cron/" + known.name + "/" + at.UTC().Format(time.RFC3339)
	err := dbctx.Run(ctx, s.q.db, func(ctx context.Context, tx *dbctx.Tx) error {
		return s.q.Enqueue(ctx, tx, known.job())
	}, dbctx.Once(key))
	if errors.Is(err, dbctx.ErrAlreadyDone) {
		return nil
	}
	return err
}

// ticksUntil lists the ticks of a line up to now that its policy wants run, and where the line goes on.
//
//	all   each of them, mostTicks at a time: the line stays due until all are made up for
//	once  the latest, however many there were
//	skip  the latest if it is less than two minutes old: then nobody missed it
//
// A line never goes on later than its first tick from now. Where it would, the clock ran ahead and came back: it goes on
// with the clock, and what ran already while the clock was ahead is not repeated, since each tick has its key.
func ticksUntil(line schema.Schedule, now time.Time) (ticks []time.Time, next time.Time, err error) {
	parsed, err := parseCron(line.Cron, line.Zone)
	if err != nil {
		return nil, next, err
	}
	next = parsed.Next(now).UTC()
	if line.NextAt.After(now) {
		return nil, earlier(next, *line.NextAt), nil
	}
	if line.Missed == "all" {
		for at := *line.NextAt; !at.After(now); at = parsed.Next(at) {
			if len(ticks) == mostTicks {
				return ticks, at.UTC(), nil
			}
			ticks = append(ticks, at)
		}
		return ticks, next, nil
	}
	last := latest(parsed, *line.NextAt, now)
	if line.Missed == "skip" && now.Sub(last) > 2*time.Minute {
		return nil, next, nil
	}
	return []time.Time{last}, next, nil
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// latest is the last tick from first up to now. It looks back in longer and longer steps, since after a long absence there
// may be very many.
func latest(parsed cron.Schedule, first, now time.Time) time.Time {
	for back := time.Hour; now.Add(-back).After(first); back *= 24 {
		if last := lastFrom(parsed, now.Add(-back), now); !last.IsZero() {
			return last
		}
	}
	return later(first, lastFrom(parsed, first, now))
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func lastFrom(parsed cron.Schedule, from, now time.Time) (last time.Time) {
	for at := parsed.Next(from); !at.After(now); at = parsed.Next(at) {
		last = at
	}
	return last
}

func (q *Queue) findSchedule(name string) (schedule, bool) {
	for _, s := range q.schedules {
		if s.name == name {
			return s, true
		}
	}
	return schedule{}, false
}

// PutSchedules brings the ledger in line with the crontab of this release. Start does it.
func (q *Queue) PutSchedules(ctx context.Context) error {
	now := q.now()
	return dbctx.Run(ctx, q.db, func(_ context.Context, tx *dbctx.Tx) error {
		for _, s := range q.schedules {
			parsed, err := parseCron(s.cron, s.zone)
			if err != nil {
				return fmt.Errorf("schedule %s: %w", s.name, err)
			}
			next := parsed.Next(now).UTC()
			if next.IsZero() {
				return fmt.Errorf("schedule %s: %q never comes", s.name, s.cron)
			}
			schema.PutSchedule(tx, schema.Schedule{Name: s.name, Cron: s.cron, Zone: s.zone, Missed: s.missed, NextAt: &next})
		}
		return nil
	})
}

// RunSchedule enqueues a schedule's job now, besides its ticks; schema.ErrNotFound if there is no such schedule.
func (q *Queue) RunSchedule(ctx context.Context, tx *dbctx.Tx, name string) error {
	s, ok := q.findSchedule(name)
	if !ok {
		return fmt.Errorf("schedule %s: %w", name, schema.ErrNotFound)
	}
	return q.Enqueue(ctx, tx, s.job())
}
