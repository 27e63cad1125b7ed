package jobs

import (
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// parseCron reads a schedule in a time zone, and says of each what daylight saving does to it.
//
// A schedule that names its hours, "30 2 * * *", is meant by the clock on the wall: it comes once on each day. What falls
// into the hour that is left out in spring comes as much later as the clock was put forward; what falls into the hour that
// autumn has twice comes the first time only. A schedule for every hour, "*/20 * * * *" or "0 */2 * * *", is meant by time
// that passes: it goes on through both nights as robfig/cron counts, twice through the hour that is there twice.
func parseCron(text, zone string) (cron.Schedule, error) {
	location, err := time.LoadLocation(zone)
	if err != nil {
		return nil, fmt.Errorf("time zone %q is not known", zone)
	}
	if fields := strings.Fields(text); len(fields) == 5 && !strings.Contains(fields[1], "*") {
		s, err := cron.ParseStandard("CRON_TZ=UTC " + text)
		return wallClock{s, location}, err
	}
	return cron.ParseStandard("CRON_TZ=" + zone + " " + text)
}

// wallClock is a schedule by the clock on the wall. What the wall shows is kept as a time in UTC.
type wallClock struct {
	schedule cron.Schedule
	zone     *time.Location
}

// longestJump is more than any clock on a wall is ever put forward or back.
const longestJump = 3 * time.Hour

// Next is the first tick after t. Around a jump the wall is no guide to what comes first, so all near ticks are compared.
func (w wallClock) Next(t time.Time) (first time.Time) {
	start := t.Add(offset(t, w.zone)).UTC().Add(-longestJump)
	var found time.Time // on the wall
	for at := w.schedule.Next(start); !at.IsZero(); at = w.schedule.Next(at) {
		if !first.IsZero() && at.Sub(found) > longestJump {
			break
		}
		if tick := w.when(at); tick.After(t) && (first.IsZero() || tick.Before(first)) {
			first, found = tick, at
		}
	}
	return first
}

// when the wall shows that: the first time if it does twice, as if the clock had not been put forward if it never does.
func (w wallClock) when(wall time.Time) time.Time {
	before := wall.Add(-offset(wall.Add(-24*time.Hour), w.zone))
	after := wall.Add(-offset(wall.Add(24*time.Hour), w.zone))
	for _, tick := range []time.Time{before, after} {
		if tick.Add(offset(tick, w.zone)).Equal(wall) {
			return tick // if both are right, before is the earlier one: the clock was put back
		}
	}
	return before
}

func offset(t time.Time, zone *time.Location) time.Duration {
	_, seconds := t.In(zone).Zone()
	return time.Duration(seconds) * time.Second
}
