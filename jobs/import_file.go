package jobs

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/schema"
)

// ImportFile reads a stored file and makes an intake of every row, 500 at a time, fewer if they are long.
//
// The cursor moves in the scope that stores the rows, so an import that is interrupted at any point goes on at the exact
// row: the file is read again from its start, and the rows before the cursor are skipped. The cursor moves only while the
// import is to be read, and only from where the reader has left it; so a paused import stores nothing more, and of two
// readers the one that comes second leaves.
//
// It stays a few chunks ahead of those who process the rows, so a file of a million rows is never a queue of a million.
type ImportFile struct {
	ImportID int64 `json:"import_id"`
}

// Kind is import_file.
func (ImportFile) Kind() string { return "import_file" }

// Queue is files.
func (ImportFile) Queue() string { return Files }

// Limits of a reader.
const (
	chunkRows   = schema.ChunkRows       // rows of a file in one scope, and intakes in one process_leads
	chunksAhead = 8                      // stored and without a verdict, at most
	paceEvery   = 100 * time.Millisecond // how often it looks whether there is room
	paceFor     = time.Minute            // then it makes room for other files
	paceAgain   = 10 * time.Second       // and comes back
)

func importFile(ctx context.Context, q *Queue, j Job, args ImportFile) error {
	m, err := q.GetImport(ctx, args.ImportID)
	if err != nil || m.State != schema.ImportWaiting && m.State != schema.ImportReading {
		return err
	}
	file := q.storedFile(ctx, m)
	rows, err := openRows(file, m.Size, m.Options)
	if err != nil {
		return q.endImport(ctx, j, m, file, err)
	}
	defer rows.Close()
	if err := rows.Skip(m.Rows); err != nil {
		return q.endImport(ctx, j, m, file, err)
	}
	return q.readOn(ctx, j, m, file, rows)
}

// readOn stores chunk after chunk until the file ends, or somebody else has the import.
func (q *Queue) readOn(ctx context.Context, j Job, m schema.Import, file *storedFile, rows *tableRows) error {
	room, began := 0, m.Rows
	for {
		chunk, end := rows.chunk(m)
		if len(chunk) > 0 {
			if room == 0 {
				var err error
				if room, err = q.awaitRoom(ctx, m.ID); err != nil {
					return err
				}
			}
			if moved, err := q.storeChunk(ctx, j, m, chunk, file, m.Rows == began); err != nil || !moved {
				return err
			}
			room--
			m.Rows += int64(len(chunk))
		}
		if end == io.EOF {
			return q.endImport(ctx, j, m, file, nil)
		}
		if end != nil {
			return q.endImport(ctx, j, m, file, end)
		}
	}
}

// awaitRoom waits until chunks may be stored, and says how many.
func (q *Queue) awaitRoom(ctx context.Context, importID int64) (room int, err error) {
	tick := time.NewTicker(paceEvery)
	defer tick.Stop()
	for begun := time.Now(); ; {
		err := dbctx.Run(ctx, q.db, func(ctx context.Context, tx *dbctx.Tx) error {
			open, err := schema.OpenChunks(ctx, tx, importID)
			room = chunksAhead - open
			return err
		}, dbctx.ReadOnly())
		switch {
		case err != nil || room > 0:
			return room, err
		case time.Since(begun) > paceFor:
			if err := q.recount(ctx, importID); err != nil {
				return 0, err
			}
			return 0, again{paceAgain}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// recount mends the counts of an import, so that nobody waits for verdicts that were given long ago.
func (q *Queue) recount(ctx context.Context, importID int64) error {
	return dbctx.Run(ctx, q.db, func(ctx context.Context, tx *dbctx.Tx) error { return schema.RecountChunks(ctx, tx, importID) })
}

// storeChunk moves the cursor over the rows, stores them and enqueues their processing. False: another reader has the
// import, or it is not to be read any more. With the first chunk of an attempt the job has got on.
func (q *Queue) storeChunk(ctx context.Context, j Job, m schema.Import, rows []schema.NewIntake, file *storedFile, first bool) (moved bool, err error) {
	bytesRead := int64(0)
	if m.Format.Kind == csvKind {
		bytesRead = file.bytesRead()
	}
	leave, err := q.giveWay.enter(ctx, Bulk)
	if err != nil {
		return false, err
	}
	defer leave()
	err = q.scope(ctx, j, func(ctx context.Context, s *Scope) error {
		if moved, err = schema.MoveImport(ctx, s.Tx, m, m.Rows+int64(len(rows)), bytesRead); err != nil || !moved {
			return err
		}
		ids, err := schema.InsertRows(ctx, s.Tx, rows, s.Now)
		if err != nil {
			return err
		}
		if first {
			schema.ForgetCrash(s.Tx, j.ID)
		}
		schema.AddImportRows(s.Tx, m.ID, m.Rows+1, len(rows))
		return s.EnqueueRows(ctx, m.SourceID, ids)
	})
	return moved, err
}

// csvKind is the kind of file whose bytes tell how far it has been read.
const csvKind = "csv"

// endImport ends the import; a file that cannot be read is its fault and not the job's, so the job succeeds. An
// error of the database or a stop is the job's.
func (q *Queue) endImport(ctx context.Context, j Job, m schema.Import, file *storedFile, cause error) error {
	if away := file.unreachable(); errors.Is(away, schema.ErrNotFound) {
		return nil // somebody has ended the import, and removed its bytes
	} else if away != nil || ctx.Err() != nil {
		return errors.Join(away, ctx.Err())
	}
	reason := ""
	if cause != nil {
		reason = cause.Error()
	}
	return q.scope(ctx, j, func(ctx context.Context, s *Scope) error {
		return schema.EndImport(ctx, s.Tx, m, reason, s.Now)
	})
}

// GetImport returns an import as it stands, or schema.ErrNotFound.
func (q *Queue) GetImport(ctx context.Context, id int64) (m schema.Import, err error) {
	err = dbctx.Run(ctx, q.db, func(ctx context.Context, tx *dbctx.Tx) error {
		m, err = schema.GetImport(ctx, tx, id)
		return err
	}, dbctx.ReadOnly())
	return m, err
}
