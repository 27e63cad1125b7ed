package schema

import (
	"context"
	"time"

	"github.com/leadmill/leadmill/dbctx"
)

// States of an import.
const (
	ImportWaiting = "waiting" // its bytes are here, no worker has begun
	ImportReading = "reading"
	ImportDone    = "done"   // every row is an intake
	ImportFailed  = "failed" // cannot be read; Error says why
)

// Import is a file and how far it has been read.
type Import struct {
	ID        int64
	SourceID  int64
	Source    string
	File      string // its name, without a path
	Hash      string // SHA-256 of its bytes, hex
	State     string
	Rows      int64 // stored as intakes so far
	Total     int64 // rows of the file; -1 while it is being read
	Counts    Counts
	Error     string
	CreatedAt time.Time
	DoneAt    *time.Time
}

// Counts are verdicts. Rows is their sum and the pending ones.
type Counts struct {
	Rows        int64 `json:"rows"`
	Pending     int64 `json:"pending"`
	Accepted    int64 `json:"accepted"`
	Duplicate   int64 `json:"duplicate"`
	Rejected    int64 `json:"rejected"`
	Quarantined int64 `json:"quarantined"`
}

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

// InsertImport makes an import. If the source has had a file of the same bytes, existed is true and id is
// the earlier import's.
func InsertImport(ctx context.Context, tx *dbctx.Tx, sourceID int64, file, hash string, now time.Time) (id int64, existed bool, err error) {
	err = tx.QueryRow(ctx, `INSERT INTO imports (source_id, file, hash, state, created_at)
		VALUES ($1, $2, $3, 'waiting', $4) ON CONFLICT (source_id, hash) DO NOTHING RETURNING id`,
		sourceID, file, hash, now).Scan(&id)
	if err != dbctx.ErrNoRows {
		return id, false, err
	}
	err = tx.QueryRow(ctx, `SELECT id FROM imports WHERE source_id = $1 AND hash = $2`, sourceID, hash).Scan(&id)
	return id, true, err
}

// AddImportPart stores part no, from 0, of the file's bytes.
func AddImportPart(ctx context.Context, tx *dbctx.Tx, importID int64, no int, bytes []byte) error {
	_, err := tx.Exec(ctx, `INSERT INTO import_parts (import_id, no, bytes) VALUES ($1, $2, $3)`, importID, no, bytes)
	return err
}

// ImportPart returns part no, or ErrNotFound after the last.
func ImportPart(ctx context.Context, tx *dbctx.Tx, importID int64, no int) (bytes []byte, err error) {
	err = tx.QueryRow(ctx, `SELECT bytes FROM import_parts WHERE import_id = $1 AND no = $2`, importID, no).Scan(&bytes)
	return bytes, notFound(err, "part of import", importID)
}

// MoveImport moves the cursor from one row to another. False: somebody else has moved it.
func MoveImport(ctx context.Context, tx *dbctx.Tx, importID, from, to int64) (bool, error) {
	n, err := tx.Exec(ctx, `UPDATE imports SET rows = $3, state = 'reading'
		WHERE id = $1 AND rows = $2 AND state IN ('waiting', 'reading')`, importID, from, to)
	return n == 1, err
}

// EndImport ends it as done, or as failed if there is a reason, and removes the bytes.
func EndImport(tx *dbctx.Tx, importID int64, reason string, now time.Time) {
	state := ImportDone
	if reason != "" {
		state = ImportFailed
	}
	tx.Queue(`UPDATE imports SET state = $2, error = $3, done_at = $4 WHERE id = $1`, importID, state, reason, now)
	tx.Queue(`DELETE FROM import_parts WHERE import_id = $1`, importID)
}

const importColumns = `m.id, m.source_id, s.name, m.file, m.hash, m.state, m.rows, m.error, m.created_at, m.done_at`

func scanImport(row dbctx.Scanner) (m Import, err error) {
	err = row.Scan(&m.ID, &m.SourceID, &m.Source, &m.File, &m.Hash, &m.State, &m.Rows, &m.Error, &m.CreatedAt, &m.DoneAt)
	m.Total = -1
	if m.State == ImportDone {
		m.Total = m.Rows
	}
	return m, err
}

// GetImport returns one import with its counts, or ErrNotFound.
func GetImport(ctx context.Context, tx *dbctx.Tx, id int64) (Import, error) {
	m, err := scanImport(tx.QueryRow(ctx, `SELECT `+importColumns+`
		FROM imports m JOIN sources s ON s.id = m.source_id WHERE m.id = $1`, id))
	if err != nil {
		return m, notFound(err, "import", id)
	}
	list := []Import{m}
	err = countImports(ctx, tx, list)
	return list[0], err
}

// ListImports returns imports with their counts, newest first.
func ListImports(ctx context.Context, tx *dbctx.Tx, n int) ([]Import, error) {
	list, err := dbctx.All(ctx, tx, scanImport, `SELECT `+importColumns+`
		FROM imports m JOIN sources s ON s.id = m.source_id ORDER BY m.id DESC `+limit(n))
	if err != nil || len(list) == 0 {
		return list, err
	}
	return list, countImports(ctx, tx, list)
}

func countImports(ctx context.Context, tx *dbctx.Tx, list []Import) error {
	at := map[int64]*Counts{}
	ids := make([]int64, len(list))
	for i := range list {
		ids[i] = list[i].ID
		at[list[i].ID] = &list[i].Counts
	}
	type count struct {
		importID, n int64
		status      string
	}
	counts, err := dbctx.All(ctx, tx, func(row dbctx.Scanner) (c count, err error) {
		return c, row.Scan(&c.importID, &c.status, &c.n)
	}, countImport.on(tx), idSet(ids))
	for _, c := range counts {
		at[c.importID].add(c.status, c.n)
	}
	return err
}

var countImport = both(`SELECT import_id, status, count(*) FROM intakes
	WHERE import_id IN (SELECT r.id FROM {r: id bigint}) GROUP BY import_id, status`)
