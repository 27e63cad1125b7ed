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

// mostTicks bounds what the policy "all" makes up for after a long absence.
const mostTicks = 1000

func cronTick(ctx context.Context, s *Scope, _ CronTick) error {
	due, err := schema.DueSchedules(ctx, s.Tx, s.Now)
	if err != nil {
		return err
	}
	for _, line := range due {
		if err := s.run(ctx, line); err != nil {
			return fmt.Errorf("schedule %s: %w", line.Name, err)
		}
	}
	return nil
}

// run enqueues the due ticks of one schedule. A line that this release does not know is left for one that does.
func (s *Scope) run(ctx context.Context, line schema.Schedule) error {
	known, ok := findSchedule(line.Name)
	if !ok {
		return nil
	}
	ticks, next, err := ticksUntil(line, s.Now)
	if err != nil {
		return err
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

// ticksUntil lists the ticks of a line from its next run up to now, as its policy for missed ones wants them,
// and the next run after now. A tick less than two minutes old was not missed.
func ticksUntil(line schema.Schedule, now time.Time) (ticks []time.Time, next time.Time, err error) {
	parsed, err := parseCron(line.Cron, line.Zone)
	if err != nil {
		return nil, next, err
	}
	next = *line.NextAt
	for ; !next.After(now) && len(ticks) < mostTicks; next = parsed.Next(next) {
		ticks = append(ticks, next)
	}
	if !next.After(now) {
		next = parsed.Next(now)
	}
	switch {
	case line.Missed == "all" || len(ticks) == 0:
		return ticks, next.UTC(), nil
	case line.Missed == "skip" && now.Sub(ticks[len(ticks)-1]) > 2*time.Minute:
		return nil, next.UTC(), nil
	default:
		return ticks[len(ticks)-1:], next.UTC(), nil
	}
}

func parseCron(text, zone string) (cron.Schedule, error) {
	if _, err := time.LoadLocation(zone); err != nil {
		return nil, fmt.Errorf("time zone %q is not known", zone)
	}
	return cron.ParseStandard("CRON_TZ=" + zone + " " + text)
}

func findSchedule(name string) (schedule, bool) {
	for _, s := range schedules {
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
		for _, s := range schedules {
			parsed, err := parseCron(s.cron, s.zone)
			if err != nil {
				return fmt.Errorf("schedule %s: %w", s.name, err)
			}
			next := parsed.Next(now).UTC()
			schema.PutSchedule(tx, schema.Schedule{Name: s.name, Cron: s.cron, Zone: s.zone, Missed: s.missed, NextAt: &next})
		}
		return nil
	})
}

// RunSchedule enqueues a schedule's job now, besides its ticks; schema.ErrNotFound if there is no such schedule.
func (q *Queue) RunSchedule(ctx context.Context, tx *dbctx.Tx, name string) error {
	s, ok := findSchedule(name)
	if !ok {
		return fmt.Errorf("schedule %s: %w", name, schema.ErrNotFound)
	}
	return q.Enqueue(ctx, tx, s.job())
}
