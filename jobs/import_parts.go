package jobs

import (
	"context"
	"io"
	"sync"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/schema"
)

// partBytes is how many bytes of a file are in one row of import_parts.
const partBytes = 1 << 20

// storedFile reads the stored bytes of a file, two parts of them in memory: a table is read from its start to its end, and a
// workbook has its list of contents at the end.
type storedFile struct {
	ctx      context.Context
	q        *Queue
	importID int64
	size     int64

	mu    sync.Mutex
	parts [2]loadedPart // the one used last comes first
	read  int64         // where the last read ended; what recognises an encoding may look far ahead and come back
	away  error         // why a part could not be loaded; whoever reads the file may have put it in other words
}

type loadedPart struct {
	no    int
	bytes []byte // nil: none
}

func (q *Queue) storedFile(ctx context.Context, m schema.Import) *storedFile {
	return &storedFile{ctx: ctx, q: q, importID: m.ID, size: m.Size}
}

// ReadAt is io.ReaderAt.
func (f *storedFile) ReadAt(b []byte, at int64) (n int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for n < len(b) {
		if at >= f.size {
			return n, io.EOF
		}
		part, err := f.part(int(at / partBytes))
		if err != nil {
			f.away = err
			return n, err
		}
		start := at % partBytes
		if start >= int64(len(part)) {
			return n, io.ErrUnexpectedEOF
		}
		copied := copy(b[n:], part[start:])
		n, at = n+copied, at+int64(copied)
		f.read = at
	}
	return n, nil
}

func (f *storedFile) part(no int) ([]byte, error) {
	switch {
	case f.parts[0].bytes != nil && f.parts[0].no == no:
	case f.parts[1].bytes != nil && f.parts[1].no == no:
		f.parts[0], f.parts[1] = f.parts[1], f.parts[0]
	default:
		bytes, err := f.load(no)
		if err != nil {
			return nil, err
		}
		f.parts[1] = f.parts[0]
		f.parts[0] = loadedPart{no, bytes}
	}
	return f.parts[0].bytes, nil
}

func (f *storedFile) load(no int) (part []byte, err error) {
	err = dbctx.Run(f.ctx, f.q.db, func(ctx context.Context, tx *dbctx.Tx) error {
		part, err = schema.ImportPart(ctx, tx, f.importID, no)
		return err
	}, dbctx.ReadOnly())
	return part, err
}

// unreachable is why a part could not be loaded, nil if all could: then an error is the file's fault.
func (f *storedFile) unreachable() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.away
}

// bytesRead is how far the file has been read.
func (f *storedFile) bytesRead() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.read
}
