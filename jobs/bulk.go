package jobs

import (
	"context"
	"slices"
	"time"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/schema"
)

// EnqueueRows enqueues the processing of many intakes of one source, in the open scope: in chunks, in the bulk queue, in turn
// with the chunks of other sources. Until the scope ends it holds back others that do the same for this source, so call it last.
//
// The queue is worked in order of turns. A source that comes new into a long queue takes its first turn beside the one that is
// worked next, and a source's turns follow each other by the smallest step there is, so from there on every source has one
// chunk in each round, however many another had put there before. A chunk that is tried again after a failure has left its
// round: it comes behind all that wait, when its time has come.
func (q *Queue) EnqueueRows(ctx context.Context, tx *dbctx.Tx, sourceID int64, intakes []int64) error {
	if len(intakes) == 0 {
		return nil
	}
	line, err := schema.LockLine(ctx, tx, sourceID, Bulk)
	if err != nil {
		return err
	}
	turn, step := firstTurn(line, tx.Dialect())
	var chunks []Args
	for ids := range slices.Chunk(intakes, chunkRows) {
		chunks = append(chunks, ProcessLeads{IntakeIDs: ids, Lane: Bulk, turn: turn})
		turn = turn.Add(step)
	}
	schema.SaveTurn(tx, sourceID, turn.Add(-step))
	return q.Enqueue(ctx, tx, chunks...)
}

// EnqueueRows is Queue.EnqueueRows in this scope.
func (s *Scope) EnqueueRows(ctx context.Context, sourceID int64, intakes []int64) error {
	return s.q.EnqueueRows(ctx, s.Tx, sourceID, intakes)
}

// headStart is how far in the past the turns of an empty queue begin. A turn must not lie in the future, where the job would
// wait for it; a source would have to take ten million turns in ten seconds to get there.
const headStart = 10 * time.Second

// firstTurn is the next turn of a source, and step what lies between two of them: what River keeps of a time.
func firstTurn(l schema.Line, on dbctx.Dialect) (turn time.Time, step time.Duration) {
	step = time.Microsecond
	if on == dbctx.SQLite {
		step = time.Millisecond
	}
	turn = l.Now.Add(-headStart).Truncate(step)
	if l.Head != nil && l.Head.Before(turn) {
		turn = *l.Head
	}
	if l.Last != nil && turn.Before(l.Last.Add(step)) && l.Last.Before(l.Now) { // else the clock has been put back
		turn = l.Last.Add(step)
	}
	return turn, step
}
