package schema

import (
	"context"
	"time"

	"github.com/leadmill/leadmill/dbctx"
)

// BenchLead is what the unit of leadmill bench reads of a lead before it decides.
type BenchLead struct {
	Email, Name, Company, State string
	Score                       int
}

// ReadBenchLead is the read of that unit. ErrNotFound if there is no such lead.
func ReadBenchLead(ctx context.Context, tx *dbctx.Tx, id int64) (l BenchLead, err error) {
	err = tx.QueryRow(ctx, `SELECT email, name, company, state, score FROM leads WHERE id = $1`, id).
		Scan(&l.Email, &l.Name, &l.Company, &l.State, &l.Score)
	return l, notFound(err, "lead", id)
}

// SaveBenchLead is the change of that unit.
func SaveBenchLead(tx *dbctx.Tx, id int64, l BenchLead, at time.Time) {
	tx.Queue(`UPDATE leads SET email = $2, score = $3, state = $4, updated_at = $5 WHERE id = $1`,
		id, l.Email, l.Score, l.State, at)
}
