package jobs

import (
	"context"
	"errors"
	"hash/maphash"
	"io"
	"maps"
	"strings"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/lead"
	"github.com/leadmill/leadmill/lead/contact"
	"github.com/leadmill/leadmill/lead/intake"
	"github.com/leadmill/leadmill/schema"
)

// Examined is a file as it would be read. Close it.
type Examined struct {
	Format  intake.Format
	Header  []string
	Columns []intake.Column
	Mapping intake.Mapping // as the import would keep it
	Example []string       // of what each column holds; "" nothing in the first rows

	rows    *tableRows
	sample  []sampleRow
	whole   bool   // the sample is all there is
	country string // of the source
}

type sampleRow struct {
	cells []string
	row   int64
	line  int
}

// A sample tells what columns hold: so many rows, or fewer of many bytes.
const (
	sampleRows  = 200
	sampleBytes = 4 << 20
)

// Examine looks at a file as an import would read it. It asks no database. The error wraps intake.ErrFile if the file
// cannot be read.
func Examine(f io.ReaderAt, size int64, o Orders) (*Examined, error) {
	return examine(f, size, o, func([]string) (remembered, error) { return remembered{}, nil })
}

// Examine looks at a file as an import of this source would read it, with what was decided for such files before. It
// changes nothing; the source need not exist. The error wraps intake.ErrFile if the file cannot be read.
func (q *Queue) Examine(ctx context.Context, f io.ReaderAt, size int64, source string, o Orders) (*Examined, error) {
	return examine(f, size, o, func(header []string) (remembered, error) { return q.remembered(ctx, source, header) })
}

// remembered is what is known of a source.
type remembered struct {
	country string
	mapping intake.Mapping
}

func (q *Queue) remembered(ctx context.Context, source string, header []string) (r remembered, err error) {
	err = dbctx.Run(ctx, q.db, func(ctx context.Context, tx *dbctx.Tx) error {
		s, err := schema.SourceByName(ctx, tx, source)
		if errors.Is(err, schema.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		r.country = s.Country
		r.mapping, err = schema.SourceMapping(ctx, tx, s.ID, header)
		return err
	}, dbctx.ReadOnly())
	return r, err
}

func examine(f io.ReaderAt, size int64, o Orders, ask func(header []string) (remembered, error)) (*Examined, error) {
	rows, err := openRows(f, size, o.Options)
	if err != nil {
		return nil, err
	}
	e := &Examined{Format: rows.Format(), Header: rows.header, rows: rows}
	if err := e.readSample(); err != nil {
		return nil, errors.Join(err, rows.Close())
	}
	before, err := ask(e.Header)
	if err != nil {
		return nil, errors.Join(err, rows.Close())
	}
	e.country = before.country
	decided := merged(before.mapping, o.Mapping)
	e.Columns = intake.Columns(e.Header, e.cells(), decided)
	e.Mapping = intake.MappingOf(e.Columns)
	maps.Copy(e.Mapping, decided)
	e.Example = examples(e.Header, e.sample)
	return e, nil
}

// readSample reads the first rows.
func (e *Examined) readSample() error {
	for bytes := 0; len(e.sample) < sampleRows && bytes < sampleBytes; {
		cells, err := e.rows.Next()
		if err == io.EOF {
			e.whole = true
			return nil
		}
		if err != nil {
			return err
		}
		e.sample = append(e.sample, sampleRow{cells, e.rows.Row(), e.rows.Line()})
		for _, c := range cells {
			bytes += len(c)
		}
	}
	return nil
}

// examples are the first cells of the columns that hold something.
func examples(header []string, sample []sampleRow) []string {
	examples := make([]string, len(header))
	for i := range header {
		for _, r := range sample {
			if examples[i] = strings.TrimSpace(r.cells[i]); examples[i] != "" {
				break
			}
		}
	}
	return examples
}

func (e *Examined) cells() [][]string {
	cells := make([][]string, len(e.sample))
	for i, r := range e.sample {
		cells[i] = r.cells
	}
	return cells
}

// Close lets go of the file.
func (e *Examined) Close() error { return e.rows.Close() }

// Foreseen is what the rows of a file would become. Who is known from elsewhere is not looked up: duplicates are those
// within the file.
type Foreseen struct {
	schema.Counts
	Whole    bool         // every row was looked at
	First    []Foreseeing // the first rows
	Problems []Foreseeing // the first of those that would not be accepted
}

// Foreseeing is what one row would become.
type Foreseeing struct {
	Row     int64             // from 1
	Line    int               // of the file, from 1
	Verdict lead.Verdict      // of this row by itself, or duplicate
	Values  map[string]string // by the name of the field, cleaned; of the first rows only
	Reasons []lead.Reason
}

// Judge looks at the rows until enough says so; it is asked now and then. shown is how many rows are returned of each kind.
func (e *Examined) Judge(shown int, enough func() bool) (Foreseen, error) {
	f := Foreseen{}
	j := judge{e: e, shown: shown, seen: map[uint64]struct{}{}, seed: maphash.MakeSeed()}
	for _, r := range e.sample {
		j.row(&f, r)
	}
	if e.whole {
		f.Whole = true
		return f, nil
	}
	for {
		if f.Rows%chunkRows == 0 && enough() {
			return f, nil
		}
		cells, err := e.rows.Next()
		if err == io.EOF {
			f.Whole = true
			return f, nil
		}
		if err != nil {
			return f, err
		}
		j.row(&f, sampleRow{cells, e.rows.Row(), e.rows.Line()})
	}
}

// judge gives verdicts and remembers whom it has seen, eight bytes for each key.
type judge struct {
	e     *Examined
	shown int
	seen  map[uint64]struct{}
	seed  maphash.Seed
}

func (j *judge) row(f *Foreseen, r sampleRow) {
	submission, mistyped := intake.Parse(intake.RowPayload(j.e.Header, r.cells), j.e.Mapping)
	c := contact.Normalise(submission, j.e.country)
	one := Foreseeing{Row: r.row, Line: r.line, Verdict: c.Verdict, Reasons: append(mistyped, c.Reasons...)}
	if c.Verdict == lead.Accepted && j.known(c) {
		one.Verdict = lead.Duplicate
	}
	f.Count(one.Verdict)
	if len(f.First) < j.shown {
		one.Values = map[string]string{}
		for name, field := range c.Fields {
			one.Values[name] = field.Value
		}
		f.First = append(f.First, one)
	}
	if (c.Verdict == lead.Rejected || c.Verdict == lead.Quarantined) && len(f.Problems) < 2*j.shown {
		f.Problems = append(f.Problems, one)
	}
}

// known says whether somebody with the same address, or without one with the same number, was seen; now they are.
func (j *judge) known(c lead.Clean) bool {
	key := c.EmailKey
	if key == "" {
		key = c.PhoneKey
	}
	_, known := j.seen[maphash.String(j.seed, key)]
	for _, key := range []string{c.EmailKey, c.PhoneKey} {
		if key != "" {
			j.seen[maphash.String(j.seed, key)] = struct{}{}
		}
	}
	return known
}
