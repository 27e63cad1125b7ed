package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"time"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/jobs"
	"github.com/leadmill/leadmill/schema"
)

// imported is an import as printed: the verdicts add up to the rows.
type imported struct {
	ImportID string `json:"import_id"`
	File     string `json:"file"`
	Source   string `json:"source"`
	State    string `json:"state"`
	Existed  bool   `json:"existed"` // the same file had been imported before
	schema.Counts
	Total        int64     `json:"total"` // rows of the file; -1 not known yet
	Undone       int64     `json:"undone"`
	RejectedFile string    `json:"rejected_file,omitempty"`
	Error        string    `json:"error,omitempty"`
	CreatedAt    time.Time `json:"created_at"`
}

func newImported(m schema.Import) imported {
	return imported{
		ImportID: strconv.FormatInt(m.ID, 10), File: m.File, Source: m.Source, State: m.State, Counts: m.Counts,
		Total: m.Total, Undone: m.Undone, Error: m.Error, CreatedAt: m.CreatedAt,
	}
}

func (a *app) followImport(ctx context.Context, db *dbctx.DB, q *jobs.Queue, id int64, existed, wait bool, path string) error {
	m, err := q.GetImport(ctx, id)
	if wait && err == nil {
		if m, err = a.awaitImport(ctx, db, q, id); err == nil && db.Dialect() == dbctx.SQLite {
			err = awaitIdle(ctx, q) // the deliveries, too, have no other worker
		}
	}
	if err != nil {
		return err
	}
	v := newImported(m)
	v.Existed = existed
	if wait && m.Counts.Rejected > 0 {
		if v.RejectedFile, err = saveRejectedBeside(ctx, q, m, path); err != nil {
			return err
		}
	}
	if err := a.print(v, func() { a.showImported(v) }); err != nil {
		return err
	}
	return importError(m, wait)
}

// importError is what is wrong with an import that was followed to its end.
func importError(m schema.Import, wait bool) error {
	switch {
	case m.State == schema.ImportFailed:
		return fmt.Errorf("import %d: %s", m.ID, m.Error)
	case m.State == schema.ImportCancelled:
		return fmt.Errorf("import %d was cancelled; the %d rows that were read before are kept", m.ID, m.Rows)
	case m.State == schema.ImportReverting, m.State == schema.ImportReverted:
		return fmt.Errorf("import %d is undone", m.ID)
	case m.State == schema.ImportPaused, m.State == schema.ImportReady:
		return fmt.Errorf("import %d is %s; leadmill import resume %d lets it go on", m.ID, m.State, m.ID)
	case wait && m.Counts.Rejected+m.Counts.Quarantined > 0:
		return fmt.Errorf("import %d: %w", m.ID, errPartial)
	}
	return nil
}

func (a *app) showImported(v imported) {
	fmt.Fprintf(a.stdout, "import %s %s\n", v.ImportID, v.State)
	a.counts(v.Counts)
	if v.RejectedFile != "" {
		a.say("the rejected rows and their reasons are in %s", v.RejectedFile)
	}
}

func (a *app) counts(c schema.Counts) {
	line := a.countLine
	line("rows", c.Rows)
	line("accepted", c.Accepted)
	line("duplicate", c.Duplicate)
	line("rejected", c.Rejected)
	line("quarantined", c.Quarantined)
	if c.Pending > 0 {
		line("pending", c.Pending)
	}
}

// saveRejectedBeside writes a file beside the one that was imported, under a new name if there is one already: somebody may
// be mending it.
func saveRejectedBeside(ctx context.Context, q *jobs.Queue, m schema.Import, path string) (name string, err error) {
	name = path + ".rejected.csv"
	for n := 2; ; n++ {
		err := saveRejected(ctx, q, m, name, os.O_EXCL)
		if !errors.Is(err, fs.ErrExist) {
			return name, err
		}
		name = fmt.Sprintf("%s.rejected-%d.csv", path, n)
	}
}

// saveRejected writes them to a file, opened as how says.
func saveRejected(ctx context.Context, q *jobs.Queue, m schema.Import, path string, how int) (err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|how, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return q.WriteRejected(ctx, m, f)
}

// lookEvery is how often a file's progress is read.
const lookEvery = 250 * time.Millisecond

// awaitImport follows until nothing more will happen by itself. The work goes on without this command if it is
// interrupted.
func (a *app) awaitImport(ctx context.Context, db *dbctx.DB, q *jobs.Queue, id int64) (schema.Import, error) {
	p := newPainter(a.stderr)
	defer p.end()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		m, err := q.GetImport(ctx, id)
		if err == nil {
			p.paint(m)
			if settled(m) {
				return m, nil
			}
		} else if ctx.Err() == nil {
			return m, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return m, fmt.Errorf("%s: %w", goesOn(db, id), ctx.Err())
		}
	}
}

// settled says that nothing more happens to an import by itself.
func settled(m schema.Import) bool {
	switch m.State {
	case schema.ImportPaused, schema.ImportReady, schema.ImportReverted:
		return true
	}
	return m.Over() && m.Counts.Pending == 0
}

// goesOn says to who stops following what becomes of the import.
func goesOn(db *dbctx.DB, id int64) string {
	if db.Dialect() == dbctx.SQLite {
		return fmt.Sprintf("import %d is not finished; leadmill import show %d --wait goes on with it", id, id)
	}
	return fmt.Sprintf("import %d goes on without this command; leadmill import show %d --wait follows it again, "+
		"leadmill import pause %d stops it", id, id, id)
}

// awaitIdle waits until no job can run.
func awaitIdle(ctx context.Context, q *jobs.Queue) error {
	tick := time.NewTicker(lookEvery / 5)
	defer tick.Stop()
	for {
		idle, err := q.Idle(ctx)
		if err != nil || idle {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (a *app) countLine(name string, n int64) { fmt.Fprintf(a.stdout, "%-12s %8d\n", name, n) }
