package jobs

import (
	"context"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
)

// inTurn gives jobs the place in their queue that they were enqueued for. River works a queue in order of scheduled_at; that is
// set here and not in InsertOpts, where it would make the job wait for River's scheduler, which looks every five seconds.
type inTurn struct{ river.HookDefaults }

// InsertBegin is called for each job before it is inserted.
func (inTurn) InsertBegin(_ context.Context, p *rivertype.JobInsertParams) error {
	if a, ok := p.Args.(ProcessLeads); ok && !a.turn.IsZero() {
		p.ScheduledAt = &a.turn
	}
	return nil
}
