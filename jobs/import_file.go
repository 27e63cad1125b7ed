package jobs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"path/filepath"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/lead/intake"
	"github.com/leadmill/leadmill/schema"
)

// ImportFile reads a stored file and makes an intake of every row, 500 at a time.
//
// The cursor moves in the scope that stores the rows, so an import that is interrupted at any point goes on
// at the exact row. The file is read again from its start; the rows before the cursor are skipped.
type ImportFile struct {
	ImportID int64 `json:"import_id"`
}

// Kind is import_file.
func (ImportFile) Kind() string { return "import_file" }

// Queue is bulk.
func (ImportFile) Queue() string { return Bulk }

const (
	chunkRows = 500     // rows of a file in one scope, and intakes in one process_leads
	partBytes = 1 << 20 // bytes of a file in one row of import_parts
)

func importFile(ctx context.Context, q *Queue, j Job, args ImportFile) error {
	m, err := q.getImport(ctx, args.ImportID)
	if err != nil || m.State == schema.ImportDone || m.State == schema.ImportFailed {
		return err
	}
	rows, err := intake.OpenCSV(&parts{ctx: ctx, q: q, importID: m.ID})
	if err != nil {
		return q.endImport(ctx, j, m, err)
	}
	for at := int64(0); ; {
		chunk, err := readChunk(rows, m, at)
		if err != nil && err != io.EOF {
			return q.endImport(ctx, j, m, err)
		}
		end := at + int64(len(chunk))
		if fresh := chunk[min(int64(len(chunk)), max(0, m.Rows-at)):]; len(fresh) > 0 {
			if moved, err := q.storeChunk(ctx, j, m, fresh, end); err != nil || !moved {
				return err
			}
			m.Rows = end
		}
		if err == io.EOF {
			return q.endImport(ctx, j, m, nil)
		}
		at = end
	}
}

func (q *Queue) getImport(ctx context.Context, id int64) (m schema.Import, err error) {
	err = dbctx.Run(ctx, q.db, func(ctx context.Context, tx *dbctx.Tx) error {
		m, err = schema.GetImport(ctx, tx, id)
		return err
	}, dbctx.ReadOnly())
	return m, err
}

// readChunk reads up to chunkRows rows after the first at ones; io.EOF comes with the last.
func readChunk(rows *intake.Table, m schema.Import, at int64) ([]schema.NewIntake, error) {
	var chunk []schema.NewIntake
	for len(chunk) < chunkRows {
		cells, err := rows.Next()
		if err != nil {
			return chunk, err
		}
		payload := intake.RowPayload(rows.Header(), cells)
		sum := sha256.Sum256(payload)
		chunk = append(chunk, schema.NewIntake{
			SourceID: m.SourceID, Hash: hex.EncodeToString(sum[:]), Payload: string(payload),
			ImportID: m.ID, Row: at + int64(len(chunk)) + 1,
		})
	}
	return chunk, nil
}

// storeChunk moves the cursor from m.Rows to end, stores the rows between and enqueues their processing. False:
// another worker has the import.
func (q *Queue) storeChunk(ctx context.Context, j Job, m schema.Import, rows []schema.NewIntake, end int64) (moved bool, err error) {
	err = q.scope(ctx, j, func(ctx context.Context, s *Scope) error {
		if moved, err = schema.MoveImport(ctx, s.Tx, m.ID, m.Rows, end); err != nil || !moved {
			return err
		}
		ids, err := schema.InsertRows(ctx, s.Tx, rows, s.Now)
		if err != nil {
			return err
		}
		return s.Enqueue(ctx, ProcessLeads{IntakeIDs: ids, Lane: Bulk})
	})
	return moved, err
}

// endImport ends the import; a file that cannot be read is its fault and not the job's, so the job succeeds. An
// error of the database or a stop is the job's.
func (q *Queue) endImport(ctx context.Context, j Job, m schema.Import, cause error) error {
	var away *partError
	if errors.As(cause, &away) || ctx.Err() != nil {
		return errors.Join(cause, ctx.Err())
	}
	reason := ""
	if cause != nil {
		reason = cause.Error()
	}
	return q.scope(ctx, j, func(_ context.Context, s *Scope) error {
		schema.EndImport(s.Tx, m.ID, reason, s.Now)
		return nil
	})
}

// parts reads the stored bytes of a file, one part in memory at a time.
type parts struct {
	ctx      context.Context
	q        *Queue
	importID int64
	no       int
	left     bytes.Reader
}

// partError is a part that could not be loaded, in contrast to a file that could not be understood.
type partError struct{ err error }

// Error is that of the database.
func (e *partError) Error() string { return e.err.Error() }

// Unwrap gives it.
func (e *partError) Unwrap() error { return e.err }

// Read is io.Reader.
func (p *parts) Read(b []byte) (int, error) {
	for p.left.Len() == 0 {
		part, err := p.load()
		if errors.Is(err, schema.ErrNotFound) {
			return 0, io.EOF
		}
		if err != nil {
			return 0, &partError{err}
		}
		p.left.Reset(part)
		p.no++
	}
	return p.left.Read(b)
}

func (p *parts) load() (part []byte, err error) {
	err = dbctx.Run(p.ctx, p.q.db, func(ctx context.Context, tx *dbctx.Tx) error {
		part, err = schema.ImportPart(ctx, tx, p.importID, p.no)
		return err
	}, dbctx.ReadOnly())
	return part, err
}

// TakeFile stores a file and enqueues its import, all in one scope: either the whole file is here and will be
// read, or nothing is. The same bytes again from the same source are the same import: existed is true.
func (q *Queue) TakeFile(ctx context.Context, source, name string, r io.ReadSeeker) (importID int64, existed bool, err error) {
	sum := sha256.New()
	if _, err := io.Copy(sum, r); err != nil {
		return 0, false, err
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return 0, false, err
	}
	now := q.now()
	err = dbctx.Run(ctx, q.db, func(ctx context.Context, tx *dbctx.Tx) error {
		s, err := schema.EnsureSource(ctx, tx, source, now)
		if err != nil {
			return err
		}
		hash := hex.EncodeToString(sum.Sum(nil))
		importID, existed, err = schema.InsertImport(ctx, tx, s.ID, filepath.Base(name), hash, now)
		if err != nil || existed {
			return err
		}
		if err := storeParts(ctx, tx, importID, r); err != nil {
			return err
		}
		return q.Enqueue(ctx, tx, ImportFile{ImportID: importID})
	})
	return importID, existed, err
}

func storeParts(ctx context.Context, tx *dbctx.Tx, importID int64, r io.Reader) error {
	part := make([]byte, partBytes)
	for no := 0; ; no++ {
		n, err := io.ReadFull(r, part)
		if n > 0 {
			if err := schema.AddImportPart(ctx, tx, importID, no, part[:n]); err != nil {
				return err
			}
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
