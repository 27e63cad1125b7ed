package schema

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/lead/intake"
)

// States of an import. It ends as one of the last four, and only a reverted one can still follow.
const (
	ImportUploading = "uploading" // its bytes are on their way
	ImportReady     = "ready"     // they are here; a person has to say yes
	ImportWaiting   = "waiting"   // for a worker
	ImportReading   = "reading"
	ImportPaused    = "paused" // a person stopped it, and can let it go on
	ImportReverting = "reverting"
	ImportCancelled = "cancelled" // a person ended it; the rows read before are kept
	ImportDone      = "done"      // every row is an intake
	ImportFailed    = "failed"    // cannot be read to the end; Error says why
	ImportReverted  = "reverted"  // undone
)

// Import is a file and how far it has been read.
type Import struct {
	ID        int64
	SourceID  int64
	Source    string
	File      string // its name, without a path
	State     string
	Size      int64          // bytes
	BytesRead int64          // so far; 0 where bytes do not tell how far it is
	Rows      int64          // stored as intakes so far
	Total     int64          // rows of the file; -1 not known yet
	Options   intake.Options // ordered by a person
	Format    intake.Format  // recognised
	Header    []string
	Mapping   intake.Mapping // what columns mean where their names do not say it
	Decided   intake.Mapping // the part of it that a person has decided for this file
	BegunAt   *time.Time     // when a person last let it go on; nil never
	BegunRows int64          // stored at that time
	Undone    int64          // rows, by a revert
	Counts    Counts
	Error     string
	CreatedAt time.Time
	DoneAt    *time.Time
}

// Over says that nothing more will be read.
func (m Import) Over() bool {
	switch m.State {
	case ImportCancelled, ImportDone, ImportFailed, ImportReverted:
		return true
	}
	return false
}

// Processed is how many rows have their verdict.
func (m Import) Processed() int64 { return m.Counts.Rows - m.Counts.Pending }

// Rate is how many rows a second have been processed since the import was last let go on.
func (m Import) Rate(now time.Time) float64 {
	if m.BegunAt == nil || !now.After(*m.BegunAt) {
		return 0
	}
	return max(0, float64(m.Processed()-m.BegunRows)/now.Sub(*m.BegunAt).Seconds())
}

// Fraction is how much of the work is done, 0 to 1; 0 as long as nobody can tell how long the file is.
func (m Import) Fraction() float64 {
	switch {
	case m.State == ImportReverting && m.Rows > 0:
		return float64(m.Undone) / float64(m.Rows)
	case m.Total > 0:
		return min(1, float64(m.Processed())/float64(m.Total))
	case m.Size > 0 && m.Rows > 0:
		return min(1, float64(m.BytesRead)/float64(m.Size)*float64(m.Processed())/float64(m.Rows))
	}
	return 0
}

// NewImport makes an import whose bytes are to follow.
func NewImport(ctx context.Context, tx *dbctx.Tx, sourceID int64, file, token string, now time.Time) (id int64, err error) {
	err = tx.QueryRow(ctx, `INSERT INTO imports (source_id, file, hash, state, created_at)
		VALUES ($1, $2, $3, 'uploading', $4) RETURNING id`, sourceID, file, "upload/"+token, now).Scan(&id)
	return id, err
}

// AddImportPart stores part no, from 0, of the file's bytes.
func AddImportPart(ctx context.Context, tx *dbctx.Tx, importID int64, no int, bytes []byte) error {
	_, err := tx.Exec(ctx, `INSERT INTO import_parts (import_id, no, bytes) VALUES ($1, $2, $3)`, importID, no, bytes)
	return err
}

// ImportPart returns part no, or ErrNotFound if there is none (any more).
func ImportPart(ctx context.Context, tx *dbctx.Tx, importID int64, no int) (bytes []byte, err error) {
	err = tx.QueryRow(ctx, `SELECT bytes FROM import_parts WHERE import_id = $1 AND no = $2`, importID, no).Scan(&bytes)
	return bytes, notFound(err, "part of import", importID)
}

// TakeImport lets an upload that is here whole be ready. If the source has had a file of the same bytes, nothing is
// changed, existed is true and id is the earlier import's. Of two at once, the second waits for the first.
func TakeImport(ctx context.Context, tx *dbctx.Tx, m Import, hash string) (id int64, existed bool, err error) {
	err = tx.QueryRow(ctx, `SELECT id FROM imports WHERE source_id = $1 AND hash = $2`, m.SourceID, hash).Scan(&id)
	if err != dbctx.ErrNoRows {
		return id, err == nil, err
	}
	n, err := tx.Exec(ctx, `UPDATE imports SET state = 'ready', hash = $2, size = $3 WHERE id = $1 AND state = 'uploading'`,
		m.ID, hash, m.Size)
	return m.ID, false, oneOf(n, err, "upload", m.ID)
}

// DropUpload removes an upload that came to nothing, and its source if that was made for it and has nothing else.
func DropUpload(tx *dbctx.Tx, m Import) {
	tx.Queue(`DELETE FROM imports WHERE id = $1 AND state = 'uploading'`, m.ID)
	tx.Queue(`DELETE FROM sources WHERE id = $1 AND created_at = $2
		AND NOT EXISTS (SELECT 1 FROM imports WHERE source_id = $1) AND NOT EXISTS (SELECT 1 FROM intakes WHERE source_id = $1)
		AND NOT EXISTS (SELECT 1 FROM source_keys WHERE source_id = $1)`, m.SourceID, m.CreatedAt)
}

// ForgetUploads removes uploads that were begun before then and are neither whole nor confirmed by anybody.
func ForgetUploads(ctx context.Context, tx *dbctx.Tx, before time.Time) (int64, error) {
	return tx.Exec(ctx, `DELETE FROM imports WHERE state IN ('uploading', 'ready') AND created_at < $1`, before)
}

// OrderImport writes down how a ready file is to be read.
func OrderImport(ctx context.Context, tx *dbctx.Tx, m Import) error {
	n, err := tx.Exec(ctx, `UPDATE imports SET options = $2, format = $3, header = $4, mapping = $5, decided = $6
		WHERE id = $1 AND state = 'ready'`, m.ID, asJSON(m.Options), asJSON(m.Format), asJSON(m.Header), asJSON(m.Mapping), asJSON(m.Decided))
	return oneOf(n, err, "import, ready", m.ID)
}

// asJSON is a value as it is stored.
func asJSON(v any) string { return string(must(json.Marshal(v))) }

// StartImport lets a ready or paused import be read; ErrNotFound if it is neither.
func StartImport(ctx context.Context, tx *dbctx.Tx, id int64, now time.Time) error {
	n, err := tx.Exec(ctx, `UPDATE imports SET state = 'waiting', begun_at = $2, begun_rows = rows
		WHERE id = $1 AND state IN ('ready', 'paused')`, id, now)
	return oneOf(n, err, "import, ready or paused,", id)
}

// PauseImport stops the reading until somebody starts it again; ErrNotFound if nobody reads or is about to.
func PauseImport(ctx context.Context, tx *dbctx.Tx, id int64) error {
	n, err := tx.Exec(ctx, `UPDATE imports SET state = 'paused' WHERE id = $1 AND state IN ('waiting', 'reading')`, id)
	return oneOf(n, err, "import, waiting or being read,", id)
}

// CancelImport ends the reading for good; ErrNotFound if it is over. What was read stays.
func CancelImport(ctx context.Context, tx *dbctx.Tx, id int64, now time.Time) error {
	n, err := tx.Exec(ctx, `UPDATE imports SET state = 'cancelled', hash = $2, done_at = $3
		WHERE id = $1 AND state IN ('ready', 'waiting', 'reading', 'paused')`, id, past(id), now)
	if err == nil && n == 1 {
		dropParts(tx, id)
	}
	return oneOf(n, err, "import, not over,", id)
}

// past takes the place of a hash when the same file may come again.
func past(id int64) string { return "past/" + strconv.FormatInt(id, 10) }

func dropParts(tx *dbctx.Tx, id int64) { tx.Queue(`DELETE FROM import_parts WHERE import_id = $1`, id) }

// MoveImport moves the cursor from m.Rows to another row and notes how many bytes were read. False: somebody else has
// moved it, or the import is not to be read any more.
func MoveImport(ctx context.Context, tx *dbctx.Tx, m Import, to, bytesRead int64) (bool, error) {
	n, err := tx.Exec(ctx, `UPDATE imports SET rows = $3, bytes_read = $4, state = 'reading'
		WHERE id = $1 AND rows = $2 AND state IN ('waiting', 'reading')`, m.ID, m.Rows, to, bytesRead)
	return n == 1, err
}

// EndImport ends it as done, or as failed if there is a reason, and removes the bytes; unless somebody else has moved the
// cursor or the import is not to be read any more.
func EndImport(ctx context.Context, tx *dbctx.Tx, m Import, reason string, now time.Time) error {
	state, hash, total := ImportDone, "", m.Rows
	if reason != "" {
		state, hash, total = ImportFailed, past(m.ID), m.Total
	}
	n, err := tx.Exec(ctx, endImport.on(tx), m.ID, m.Rows, state, hash, reason, total, now)
	if err == nil && n == 1 {
		dropParts(tx, m.ID)
	}
	return err
}

var endImport = both(`UPDATE imports SET state = $3, hash = coalesce(nullif($4::text, ''), hash), error = $5, total = $6, done_at = $7
	WHERE id = $1 AND rows = $2 AND state IN ('waiting', 'reading')`)

const importColumns = `m.id, m.source_id, s.name, m.file, m.state, m.size, m.bytes_read, m.rows, m.total, m.options, m.format,
	m.header, m.mapping, m.decided, m.begun_at, m.begun_rows, m.undone, m.error, m.created_at, m.done_at`

func scanImport(row dbctx.Scanner) (m Import, err error) {
	var options, format, header, mapping, decided string
	err = row.Scan(&m.ID, &m.SourceID, &m.Source, &m.File, &m.State, &m.Size, &m.BytesRead, &m.Rows, &m.Total, &options, &format,
		&header, &mapping, &decided, &m.BegunAt, &m.BegunRows, &m.Undone, &m.Error, &m.CreatedAt, &m.DoneAt)
	if err != nil {
		return m, err
	}
	return m, errors.Join(
		json.Unmarshal([]byte(options), &m.Options), json.Unmarshal([]byte(format), &m.Format),
		json.Unmarshal([]byte(header), &m.Header), json.Unmarshal([]byte(mapping), &m.Mapping),
		json.Unmarshal([]byte(decided), &m.Decided))
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

// ListImports returns imports with their counts, newest first; not those that are still on their way.
func ListImports(ctx context.Context, tx *dbctx.Tx, before int64, n int) ([]Import, error) {
	w := where{conditions: []string{"m.state <> 'uploading'"}}
	w.add(before != 0, "m.id < $%d", before)
	list, err := dbctx.All(ctx, tx, scanImport, `SELECT `+importColumns+`
		FROM imports m JOIN sources s ON s.id = m.source_id `+w.sql()+` ORDER BY m.id DESC `+limit(n), w.args...)
	if err != nil || len(list) == 0 {
		return list, err
	}
	return list, countImports(ctx, tx, list)
}

// ImportMappings returns what the columns of those imports mean, where their names do not say it.
func ImportMappings(ctx context.Context, tx *dbctx.Tx, ids []int64) (map[int64]intake.Mapping, error) {
	type one struct {
		id      int64
		mapping string
	}
	rows, err := dbctx.All(ctx, tx, func(row dbctx.Scanner) (o one, err error) {
		return o, row.Scan(&o.id, &o.mapping)
	}, importMappings.on(tx), idSet(ids))
	if err != nil {
		return nil, err
	}
	mappings := map[int64]intake.Mapping{}
	for _, o := range rows {
		var m intake.Mapping
		if err := json.Unmarshal([]byte(o.mapping), &m); err != nil {
			return nil, err
		}
		mappings[o.id] = m
	}
	return mappings, nil
}

var importMappings = both(`SELECT id, mapping FROM imports WHERE id IN (SELECT r.id FROM {r: id bigint})`)
