package schema

import (
	"context"
	"time"

	"github.com/leadmill/leadmill/dbctx"
)

// Line is what decides where a source's next chunk of rows stands in a queue.
type Line struct {
	Last *time.Time // turn of the source's last chunk; nil if it had none
	Head *time.Time // turn of the first job that waits; nil if none does
	Now  time.Time  // by the database's clock, which also decides when a job's time has come
}

// LockLine reads it, and makes everybody else who asks for the same source wait until the scope ends. Without such a
// source the error is ErrNotFound.
func LockLine(ctx context.Context, tx *dbctx.Tx, sourceID int64, queue string) (l Line, err error) {
	now, _ := dbNow(tx.Dialect())
	err = tx.QueryRow(ctx, `SELECT s.bulk_turn, `+now+lockLine.on(tx), sourceID, queue).Scan(&l.Last, &l.Now, &l.Head)
	return l, notFound(err, "source", sourceID)
}

// The first job is found as River finds it: in front of the index that it fetches by.
var lockLine = both(`, (SELECT j.scheduled_at FROM river_job j WHERE j.state = 'available' AND j.queue = $2
	ORDER BY j.priority, j.scheduled_at, j.id LIMIT 1) FROM sources s WHERE s.id = $1 FOR NO KEY UPDATE OF s`)

// SaveTurn notes the turn of the source's last chunk.
func SaveTurn(tx *dbctx.Tx, sourceID int64, turn time.Time) {
	tx.Queue(`UPDATE sources SET bulk_turn = $2 WHERE id = $1`, sourceID, turn)
}
