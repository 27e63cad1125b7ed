package jobs

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"slices"
	"strings"

	"github.com/leadmill/leadmill/lead/intake"
	"github.com/leadmill/leadmill/schema"
)

// tableRows are the rows of a table without the column that we have added to rejected ones.
type tableRows struct {
	*intake.Table
	header  []string
	because int // which column that is; -1 none
}

// openRows opens a file as a table. The error wraps intake.ErrFile, or is that of f.
func openRows(f io.ReaderAt, size int64, o intake.Options) (*tableRows, error) {
	t, err := intake.Open(f, size, o)
	if err != nil {
		return nil, err
	}
	r := &tableRows{Table: t, header: slices.Clone(t.Header()), because: slices.Index(t.Header(), intake.Because)}
	if r.because >= 0 {
		r.header = slices.Delete(r.header, r.because, r.because+1)
	}
	return r, nil
}

// Next returns the cells of the next row; io.EOF after the last. Of a file that we have written ourselves they are what
// they were before.
func (r *tableRows) Next() ([]string, error) {
	cells, err := r.Table.Next()
	if err == nil && r.because >= 0 && r.because < len(cells) {
		cells = asTheyWere(slices.Delete(cells, r.because, r.because+1))
	}
	return cells, err
}

// asTheyWere takes off what intake.Safe has put before cells.
func asTheyWere(cells []string) []string {
	for i, cell := range cells {
		if rest, guarded := strings.CutPrefix(cell, "'"); guarded && intake.Safe([]string{rest})[0] == cell {
			cells[i] = rest
		}
	}
	return cells
}

// chunkBytes are as many as are held of a chunk at once: rows may have a megabyte each.
const chunkBytes = 4 << 20

// chunk reads the next rows, to the end of the chunk that the first one is in or as many as are held at once; io.EOF comes
// with the last.
func (r *tableRows) chunk(m schema.Import) ([]schema.NewIntake, error) {
	var chunk []schema.NewIntake
	for bytes, left := 0, chunkRows-int(m.Rows%chunkRows); len(chunk) < left && bytes < chunkBytes; {
		cells, err := r.Next()
		if err != nil {
			return chunk, err
		}
		payload := intake.RowPayload(r.header, cells)
		bytes += len(payload)
		sum := sha256.Sum256(payload)
		chunk = append(chunk, schema.NewIntake{
			SourceID: m.SourceID, Hash: hex.EncodeToString(sum[:]), Payload: string(payload),
			ImportID: m.ID, Row: m.Rows + int64(len(chunk)) + 1,
		})
	}
	return chunk, nil
}
