package web

import (
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/leadmill/leadmill/jobs"
	"github.com/leadmill/leadmill/schema"
)

// overLimits remembers which sources are over their limit, so that one which goes on sending costs the database
// nothing. What counts is in the database; this is forgotten after a second, since the limit may have been changed.
type overLimits struct {
	mu   sync.Mutex
	over map[int64]overLimit // by source
}

type overLimit struct {
	until time.Time // of this note
	again time.Time // when the source may send again
	limit jobs.OverLimit
}

// check refuses a source that is known to be over its limit.
func (o *overLimits) check(sourceID int64, l schema.SourceLimits, now time.Time) error {
	if !l.Metered() {
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	note, noted := o.over[sourceID]
	if !noted || !now.Before(note.until) {
		delete(o.over, sourceID)
		return nil
	}
	note.limit.Wait = note.again.Sub(now)
	return tooMany(&note.limit)
}

// explain turns the limit that ended a scope into a problem, and notes it; other errors stay as they are. A batch that
// is too large by itself is not noted: it would keep out what there is room for.
func (o *overLimits) explain(sourceID int64, now time.Time, err error) error {
	var limit *jobs.OverLimit
	if !errors.As(err, &limit) {
		return err
	}
	if limit.Room > 0 {
		return tooMany(limit)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.over == nil {
		o.over = map[int64]overLimit{}
	}
	o.over[sourceID] = overLimit{now.Add(min(limit.Wait, time.Second)), now.Add(limit.Wait), *limit}
	return tooMany(limit)
}

func tooMany(limit *jobs.OverLimit) *problem {
	p := newProblem(http.StatusTooManyRequests, limit.Error())
	p.retryAfter = limit.Wait
	return p
}
