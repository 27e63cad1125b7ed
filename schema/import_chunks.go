package schema

import (
	"context"
	"fmt"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/lead"
)

// ChunkRows is how many rows of a file are stored, processed and counted together.
const ChunkRows = 500

// chunkOf is the first row of the chunk that a row is in.
func chunkOf(row int64) int64 { return (row-1)/ChunkRows*ChunkRows + 1 }

// AddImportRows notes that rows from first on, of one chunk, are stored; they have no verdicts yet. The chunk may have others:
// a reader was cut off in its middle, or its rows are long.
func AddImportRows(tx *dbctx.Tx, importID, first int64, rows int) {
	tx.Queue(`INSERT INTO import_chunks (import_id, first_row, rows) VALUES ($1, $2, $3)
		ON CONFLICT (import_id, first_row) DO UPDATE SET rows = import_chunks.rows + excluded.rows, done = false`,
		importID, chunkOf(first), rows)
}

// OpenChunks counts chunks that have rows without a verdict.
func OpenChunks(ctx context.Context, tx *dbctx.Tx, importID int64) (n int, err error) {
	err = tx.QueryRow(ctx, `SELECT count(*) FROM import_chunks WHERE import_id = $1 AND NOT done`, importID).Scan(&n)
	return n, err
}

// OpenImports returns the imports that have chunks with rows without a verdict.
func OpenImports(ctx context.Context, tx *dbctx.Tx) ([]int64, error) {
	return dbctx.All(ctx, tx, scanID, `SELECT DISTINCT import_id FROM import_chunks WHERE NOT done ORDER BY import_id`)
}

// RecountChunks counts the verdicts on the rows of open chunks anew: workers of the release before this table, which may run
// until they are replaced, give verdicts and do not count them.
func RecountChunks(ctx context.Context, tx *dbctx.Tx, importID int64) error {
	// Two statements: the second sees what was committed while the first waited.
	if _, err := dbctx.All(ctx, tx, scanID, lockOpenChunks.on(tx), importID); err != nil {
		return err
	}
	tx.Queue(recountChunks, importID)
	return nil
}

var lockOpenChunks = both(`SELECT first_row FROM import_chunks WHERE import_id = $1 AND NOT done ORDER BY first_row FOR UPDATE`)

var recountChunks = fmt.Sprintf(`UPDATE import_chunks SET accepted = r.accepted, duplicate = r.duplicate, rejected = r.rejected,
		quarantined = r.quarantined, done = r.pending = 0
	FROM (SELECT (row_no - 1) / %[1]d * %[1]d + 1 AS first_row, count(CASE WHEN status = 'pending' THEN 1 END) AS pending,
			count(CASE WHEN status = 'accepted' THEN 1 END) AS accepted, count(CASE WHEN status = 'duplicate' THEN 1 END) AS duplicate,
			count(CASE WHEN status = 'rejected' THEN 1 END) AS rejected, count(CASE WHEN status = 'quarantined' THEN 1 END) AS quarantined
		FROM intakes WHERE import_id = $1
			AND row_no >= (SELECT min(first_row) FROM import_chunks WHERE import_id = $1 AND NOT done) GROUP BY 1) AS r
	WHERE import_chunks.import_id = $1 AND NOT import_chunks.done AND import_chunks.first_row = r.first_row`, ChunkRows)

// chunkCount is what is added to the counts of a chunk.
type chunkCount struct {
	ImportID    int64 `json:"import_id"`
	FirstRow    int64 `json:"first_row"`
	Accepted    int64 `json:"accepted"`
	Duplicate   int64 `json:"duplicate"`
	Rejected    int64 `json:"rejected"`
	Quarantined int64 `json:"quarantined"`
}

// CountVerdicts counts the verdicts on intakes, which are given in the same scope, for the imports that the intakes came
// with.
func CountVerdicts(tx *dbctx.Tx, intakes []Intake, settled []Settled) {
	from := map[int64]Intake{}
	for _, in := range intakes {
		if in.ImportID != 0 {
			from[in.ID] = in
		}
	}
	var counts []chunkCount
	at := map[[2]int64]int{}
	for _, s := range settled {
		in, ok := from[s.ID]
		if !ok {
			continue
		}
		chunk := [2]int64{in.ImportID, chunkOf(in.Row)}
		if _, ok := at[chunk]; !ok {
			at[chunk] = len(counts)
			counts = append(counts, chunkCount{ImportID: chunk[0], FirstRow: chunk[1]})
		}
		counts[at[chunk]].add(string(s.Status), 1)
	}
	countChunks(tx, counts...)
}

func (c *chunkCount) add(status string, n int64) {
	var counts Counts
	counts.add(status, n)
	c.Accepted += counts.Accepted
	c.Duplicate += counts.Duplicate
	c.Rejected += counts.Rejected
	c.Quarantined += counts.Quarantined
}

func countChunks(tx *dbctx.Tx, counts ...chunkCount) {
	if len(counts) > 0 {
		tx.Queue(addToChunks.on(tx), set(counts))
	}
}

var addToChunks = both(`UPDATE import_chunks SET accepted = import_chunks.accepted + r.accepted,
		duplicate = import_chunks.duplicate + r.duplicate, rejected = import_chunks.rejected + r.rejected,
		quarantined = import_chunks.quarantined + r.quarantined,
		done = import_chunks.accepted + import_chunks.duplicate + import_chunks.rejected + import_chunks.quarantined
			+ r.accepted + r.duplicate + r.rejected + r.quarantined >= import_chunks.rows
	FROM {r: import_id bigint, first_row bigint, accepted integer, duplicate integer, rejected integer, quarantined integer}
	WHERE import_chunks.import_id = r.import_id AND import_chunks.first_row = r.first_row`)

// Counts are verdicts. Rows is their sum and the pending ones.
type Counts struct {
	Rows        int64 `json:"rows"`
	Pending     int64 `json:"pending"`
	Accepted    int64 `json:"accepted"`
	Duplicate   int64 `json:"duplicate"`
	Rejected    int64 `json:"rejected"`
	Quarantined int64 `json:"quarantined"`
}

// Count adds a row with that verdict.
func (c *Counts) Count(v lead.Verdict) { c.add(string(v), 1) }

func (c *Counts) add(status string, n int64) {
	c.Rows += n
	switch status {
	case "pending":
		c.Pending += n
	case "accepted":
		c.Accepted += n
	case "duplicate":
		c.Duplicate += n
	case "rejected":
		c.Rejected += n
	case "quarantined":
		c.Quarantined += n
	}
}

// countImports fills in the counts: for a million rows of a file the sum of two thousand.
func countImports(ctx context.Context, tx *dbctx.Tx, list []Import) error {
	at := map[int64]*Counts{}
	ids := make([]int64, len(list))
	for i := range list {
		ids[i] = list[i].ID
		at[list[i].ID] = &list[i].Counts
	}
	rows, err := tx.Query(ctx, countImport.on(tx), idSet(ids))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		var c Counts
		if err := rows.Scan(&id, &c.Rows, &c.Accepted, &c.Duplicate, &c.Rejected, &c.Quarantined); err != nil {
			return err
		}
		c.Pending = c.Rows - c.Accepted - c.Duplicate - c.Rejected - c.Quarantined
		*at[id] = c
	}
	return rows.Err()
}

var countImport = both(`SELECT import_id, sum(rows), sum(accepted), sum(duplicate), sum(rejected), sum(quarantined)
	FROM import_chunks WHERE import_id IN (SELECT r.id FROM {r: id bigint}) GROUP BY import_id`)
