package jobs

import (
	"context"
	"time"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/schema"
)

// A job whose kind a release does not know is left for one that does: while a new release is rolled out, that is right. If
// none comes the job would wait for ever and nobody would hear of it, so it is parked.

const (
	unknownEvery = time.Minute // the eldest worker looks for such jobs
	unknownAfter = 15 * time.Minute
	parkStep     = 1000 // jobs of a kind parked at one look
)

const whyUnknown = "no running release knows this kind of job: start the release that does, then retry it"

// strangers are the kinds that no running release knows, since when this process has seen that without a gap. Another that
// becomes the eldest begins anew.
type strangers struct {
	every, after time.Duration
	looked       time.Time
	since        map[string]time.Time
}

// due says whether to look now.
func (s *strangers) due(now time.Time) bool { return now.Sub(s.looked) >= s.every }

// see takes in what a look found, and returns the kinds that have been strangers for long enough.
func (s *strangers) see(kinds []string, now time.Time) (long []string) {
	before := s.since
	if now.Sub(s.looked) > 3*s.every { // nobody knows what went on meanwhile
		before = nil
	}
	s.looked, s.since = now, map[string]time.Time{}
	for _, kind := range kinds {
		first, known := before[kind]
		if !known {
			first = now
		}
		s.since[kind] = first
		if now.Sub(first) >= s.after {
			long = append(long, kind)
		}
	}
	return long
}

// parkUnknown parks the jobs that have waited long enough and whose kind nobody has known for as long.
func (h *heart) parkUnknown(ctx context.Context) error {
	if !h.eldest || !h.strangers.due(time.Now()) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, beatLimit)
	defer cancel()
	return dbctx.Run(ctx, h.q.db, func(ctx context.Context, tx *dbctx.Tx) error {
		kinds, err := schema.UnknownKinds(ctx, tx)
		if err != nil {
			return err
		}
		for _, kind := range h.strangers.see(kinds, time.Now()) {
			parked, err := schema.ParkWaiting(ctx, tx, kind, h.strangers.after, whyUnknown, h.q.now(), parkStep)
			if err != nil {
				return err
			}
			if len(parked) > 0 {
				h.q.options.Logger.Warn("jobs are parked, no running release knows their kind", "kind", kind, "jobs", len(parked))
			}
		}
		return nil
	}, dbctx.Vital())
}
