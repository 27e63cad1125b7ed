package jobs

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"strings"
	"time"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/lead/intake"
	"github.com/leadmill/leadmill/schema"
)

// File is a file to be taken in.
type File struct {
	Source string    // made if there is none
	Name   string    // of the file; a path is cut off
	Body   io.Reader // read once, to its end
	Orders
	Limit int64 // bytes it may have; 0 means no limit
	Hold  bool  // a person looks at it and says yes, by StartImport
}

// Orders are what a person has decided about a file. The zero value leaves all to be recognised.
type Orders struct {
	Options intake.Options
	Mapping intake.Mapping // of columns; added to what was decided for such files of the source before
}

// ErrTooLarge is a file beyond its limit. Its text is for the person who sent it.
var ErrTooLarge = errors.New("the file is too large")

// TakeFile takes a file in and imports it, as all of it is recognised. See ReceiveFile.
func (q *Queue) TakeFile(ctx context.Context, source, name string, r io.Reader) (importID int64, existed bool, err error) {
	return q.ReceiveFile(ctx, File{Source: source, Name: name, Body: r})
}

// ReceiveFile stores a file, looks at its columns and enqueues its import, or holds it. The bytes are stored as they come,
// part by part in scopes of their own, since whoever sends them may take a while; only the last scope makes them an import.
// Whatever fails before leaves nothing behind. An error that wraps intake.ErrFile or ErrTooLarge is the file's fault.
//
// The same bytes again from the same source are the same import, whatever they are called: existed is true. Not if that one
// was cancelled, has failed or was reverted.
func (q *Queue) ReceiveFile(ctx context.Context, f File) (importID int64, existed bool, err error) {
	m, err := q.beginUpload(ctx, f)
	if err != nil {
		return 0, false, err
	}
	taken := false
	defer func() {
		if !taken {
			err = errors.Join(err, q.dropUpload(ctx, m))
		}
	}()
	hash, err := q.storeParts(ctx, &m, f)
	if err != nil {
		return 0, false, err
	}
	if err := q.apply(ctx, &m, f.Orders); err != nil {
		return 0, false, err
	}
	importID, existed, err = q.endUpload(ctx, m, hash, f)
	if dbctx.IsUniqueViolation(err) { // the same file came at the same time, and first
		importID, existed, err = q.endUpload(ctx, m, hash, f)
	}
	taken = err == nil && !existed
	return importID, existed, err
}

func (q *Queue) beginUpload(ctx context.Context, f File) (m schema.Import, err error) {
	now := q.now()
	err = dbctx.Run(ctx, q.db, func(ctx context.Context, tx *dbctx.Tx) error {
		s, err := schema.EnsureSource(ctx, tx, f.Source, now)
		if err != nil {
			return err
		}
		m = schema.Import{SourceID: s.ID, Source: s.Name, CreatedAt: now, Total: -1}
		m.ID, err = schema.NewImport(ctx, tx, s.ID, fileName(f.Name), rand.Text(), now)
		return err
	})
	return m, err
}

// fileName is the name of a file as any database keeps it: without its path, in UTF-8, and not endless. Senders may call
// files what they like, and old ones write their names in other alphabets.
func fileName(path string) string {
	name := strings.ReplaceAll(filepath.Base(path), "\x00", "")
	return strings.ToValidUTF8(name[:min(len(name), longestFileName)], "\uFFFD")
}

// longestFileName is as many bytes as most file systems allow.
const longestFileName = 255

// storeParts stores the bytes and returns their SHA-256, hex.
func (q *Queue) storeParts(ctx context.Context, m *schema.Import, f File) (hash string, err error) {
	sum := sha256.New()
	part := make([]byte, partBytes)
	for no := 0; ; no++ {
		n, end := fill(f.Body, part)
		m.Size += int64(n)
		if f.Limit > 0 && m.Size > f.Limit {
			return "", fmt.Errorf("%w: at most %d bytes are taken", ErrTooLarge, f.Limit)
		}
		if n > 0 {
			sum.Write(part[:n])
			err := dbctx.Run(ctx, q.db, func(ctx context.Context, tx *dbctx.Tx) error {
				return schema.AddImportPart(ctx, tx, m.ID, no, part[:n])
			})
			if err != nil {
				return "", err
			}
		}
		if end == io.EOF {
			return hex.EncodeToString(sum.Sum(nil)), nil
		}
		if end != nil {
			return "", end
		}
	}
}

// fill reads until the part is full. Only io.EOF is the end of the file: a request that breaks off ends with
// io.ErrUnexpectedEOF, which io.ReadFull says of both.
func fill(body io.Reader, part []byte) (n int, err error) {
	for n < len(part) && err == nil {
		var more int
		more, err = body.Read(part[n:])
		n += more
	}
	return n, err
}

// apply looks at the stored file as it is ordered to be read, and notes what was recognised.
func (q *Queue) apply(ctx context.Context, m *schema.Import, o Orders) error {
	file := q.storedFile(ctx, *m)
	known, err := q.Examine(ctx, file, m.Size, m.Source, o)
	if err != nil {
		return errors.Join(file.unreachable(), err)
	}
	defer known.Close()
	m.Options, m.Decided = o.Options, merged(nil, o.Mapping)
	m.Format, m.Header, m.Mapping = known.Format, known.Header, known.Mapping
	return nil
}

func (q *Queue) endUpload(ctx context.Context, m schema.Import, hash string, f File) (id int64, existed bool, err error) {
	err = dbctx.Run(ctx, q.db, func(ctx context.Context, tx *dbctx.Tx) error {
		id, existed, err = schema.TakeImport(ctx, tx, m, hash)
		if err != nil || existed {
			return err
		}
		if err := q.order(ctx, tx, m, f.Orders); err != nil || f.Hold {
			return err
		}
		return q.StartImport(ctx, tx, id)
	})
	return id, existed, err
}

// order writes down how a file is to be read, and remembers for the next one what a person has decided.
func (q *Queue) order(ctx context.Context, tx *dbctx.Tx, m schema.Import, o Orders) error {
	if len(o.Mapping) > 0 {
		schema.KeepSourceMapping(tx, m.SourceID, m.Header, m.Mapping, q.now())
	}
	return schema.OrderImport(ctx, tx, m)
}

// dropUpload removes what came of an upload, although its sender may be gone.
func (q *Queue) dropUpload(ctx context.Context, m schema.Import) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), dropLimit)
	defer cancel()
	return dbctx.Run(ctx, q.db, func(_ context.Context, tx *dbctx.Tx) error {
		schema.DropUpload(tx, m)
		return nil
	})
}

// dropLimit is how long that may take.
const dropLimit = 10 * time.Second

// OrderFile changes how a file that is held is to be read, and begins to if start says so: what is read is read as this caller
// has said. The error wraps schema.ErrNotFound if the import is not held, and intake.ErrFile if the file cannot be read so;
// then nothing is changed.
func (q *Queue) OrderFile(ctx context.Context, id int64, o Orders, start bool) error {
	m, err := q.GetImport(ctx, id)
	if err != nil {
		return err
	}
	if err := q.apply(ctx, &m, o); err != nil {
		return err
	}
	return dbctx.Run(ctx, q.db, func(ctx context.Context, tx *dbctx.Tx) error {
		if err := q.order(ctx, tx, m, o); err != nil || !start {
			return err
		}
		return q.StartImport(ctx, tx, id)
	})
}

// StartImport lets an import that is held or paused be read; schema.ErrNotFound if it is neither.
func (q *Queue) StartImport(ctx context.Context, tx *dbctx.Tx, id int64) error {
	if err := schema.StartImport(ctx, tx, id, q.now()); err != nil {
		return err
	}
	return q.Enqueue(ctx, tx, ImportFile{ImportID: id})
}

// RevertImport begins to undo an import; schema.ErrNotFound if there is nothing to undo. See RevertImport, the job.
func (q *Queue) RevertImport(ctx context.Context, tx *dbctx.Tx, id int64) error {
	if err := schema.RevertImport(ctx, tx, id); err != nil {
		return err
	}
	return q.Enqueue(ctx, tx, RevertImport{ImportID: id})
}

// Foresee looks at a file that is held as it would be read, for that long at most. The error wraps schema.ErrNotFound if
// its bytes are not here any more, and intake.ErrFile if it cannot be read to the point where time was over.
func (q *Queue) Foresee(ctx context.Context, m schema.Import, shown int, limit time.Duration) (*Examined, Foreseen, error) {
	file := q.storedFile(ctx, m)
	e, err := q.Examine(ctx, file, m.Size, m.Source, Orders{Options: m.Options, Mapping: m.Decided})
	if err != nil {
		return nil, Foreseen{}, errors.Join(file.unreachable(), err)
	}
	defer e.Close()
	begun := time.Now()
	f, err := e.Judge(shown, func() bool { return time.Since(begun) > limit })
	return e, f, errors.Join(file.unreachable(), err)
}

// ValidName says whether a source may be called so: what fits into a URL and a log.
func ValidName(name string) bool {
	return name != "" && len(name) <= LongestName && !strings.ContainsFunc(name, func(r rune) bool {
		return r <= ' ' || r > '~' || strings.ContainsRune(`/?#%"`, r)
	})
}

// LongestName is how many characters a name may have.
const LongestName = 100

// merged is what was decided before, and over it what is decided now.
func merged(before, now intake.Mapping) intake.Mapping {
	all := intake.Mapping{}
	maps.Copy(all, before)
	maps.Copy(all, now)
	return all
}
