package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/jobs"
	"github.com/leadmill/leadmill/schema"
)

func (a *app) importCommand() *cobra.Command {
	var source string
	var dry, wait bool
	c := a.jsonFlag(&cobra.Command{
		Use: "import FILE", Short: "Take in a CSV file", Args: cobra.ExactArgs(1),
		Long: "Stores the file and enqueues its rows; workers process them. --wait follows\n" +
			"until each has its verdict, and writes the rejected rows with their reasons to\n" +
			"FILE.rejected.csv. On SQLite, where no worker runs, the command works the rows\n" +
			"itself. Encoding, delimiter and columns are recognised. The same file again\nadds nothing.",
		Example: "  leadmill import fair.csv --source fair --wait\n  leadmill import fair.csv --dry-run",
		RunE: func(c *cobra.Command, args []string) error {
			if dry {
				return a.dryRun(args[0])
			}
			return a.importFile(c.Context(), args[0], source, wait)
		},
	})
	c.Flags().StringVar(&source, "source", "import", "where the rows come from; made if there is none")
	c.Flags().BoolVar(&dry, "dry-run", false, "read and judge the rows, store nothing")
	c.Flags().BoolVar(&wait, "wait", false, "follow until every row has its verdict")
	return c
}

// imported is what --json prints: the verdicts add up to the rows.
type imported struct {
	ImportID string `json:"import_id"`
	State    string `json:"state"`
	Existed  bool   `json:"existed"` // the same file had been imported before
	schema.Counts
	RejectedFile string `json:"rejected_file,omitempty"`
	Error        string `json:"error,omitempty"`
}

func (a *app) importFile(ctx context.Context, path, source string, wait bool) error {
	if err := checkName(source); err != nil {
		return err
	}
	f, err := openFile(path)
	if err != nil {
		return err
	}
	defer f.Close()
	hurry := atOnce(ctx)
	return a.withQueue(ctx, func(db *dbctx.DB, q *jobs.Queue) (err error) {
		id, existed, err := q.TakeFile(ctx, source, path, f)
		if err != nil {
			return err
		}
		if existed {
			a.say("the same file was imported from this source before, as import %d", id)
		}
		if db.Dialect() == dbctx.SQLite {
			wait = true
			if err := q.Start(context.WithoutCancel(ctx)); err != nil {
				return err
			}
			defer func() { err = errors.Join(err, q.Stop(hurry)) }()
		}
		return a.followImport(ctx, db, q, id, existed, wait, path)
	})
}

func openFile(path string) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, &usageError{err}
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		f.Close()
		return nil, usagef("%s is not a file", path)
	}
	return f, nil
}

func (a *app) followImport(ctx context.Context, db *dbctx.DB, q *jobs.Queue, id int64, existed, wait bool, path string) error {
	m, err := getImport(ctx, db, id)
	if wait && err == nil {
		if m, err = a.awaitImport(ctx, db, id); err == nil && db.Dialect() == dbctx.SQLite {
			err = awaitIdle(ctx, q) // the deliveries, too, have no other worker
		}
	}
	if err != nil {
		return err
	}
	v := imported{ImportID: strconv.FormatInt(id, 10), State: m.State, Existed: existed, Counts: m.Counts, Error: m.Error}
	if wait && m.Counts.Rejected > 0 {
		v.RejectedFile = path + ".rejected.csv"
		if err := writeRejected(ctx, db, id, v.RejectedFile); err != nil {
			return err
		}
	}
	if err := a.print(v, func() { a.showImport(v) }); err != nil {
		return err
	}
	return importError(m, wait)
}

func importError(m schema.Import, wait bool) error {
	switch {
	case m.State == schema.ImportFailed:
		return fmt.Errorf("import %d: %s", m.ID, m.Error)
	case wait && m.Counts.Rejected+m.Counts.Quarantined > 0:
		return fmt.Errorf("import %d: %w", m.ID, errPartial)
	}
	return nil
}

func (a *app) showImport(v imported) {
	fmt.Fprintf(a.stdout, "import %s %s\n", v.ImportID, v.State)
	a.counts(v.Counts)
	if v.RejectedFile != "" {
		a.say("the rejected rows and their reasons are in %s", v.RejectedFile)
	}
}

func (a *app) counts(c schema.Counts) {
	line := func(name string, n int64) { fmt.Fprintf(a.stdout, "%-12s %8d\n", name, n) }
	line("rows", c.Rows)
	line("accepted", c.Accepted)
	line("duplicate", c.Duplicate)
	line("rejected", c.Rejected)
	line("quarantined", c.Quarantined)
	if c.Pending > 0 {
		line("pending", c.Pending)
	}
}

func getImport(ctx context.Context, db *dbctx.DB, id int64) (m schema.Import, err error) {
	err = dbctx.Run(ctx, db, func(ctx context.Context, tx *dbctx.Tx) error {
		m, err = schema.GetImport(ctx, tx, id)
		return err
	}, dbctx.ReadOnly())
	return m, err
}

// lookEvery is how often a file's progress is read.
const lookEvery = 250 * time.Millisecond

// awaitImport follows until no row is pending. The work goes on without this command if it is interrupted.
func (a *app) awaitImport(ctx context.Context, db *dbctx.DB, id int64) (schema.Import, error) {
	p := newPainter(a.stderr)
	defer p.end()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		m, err := getImport(ctx, db, id)
		if err != nil {
			return m, err
		}
		p.paint(m)
		if m.State == schema.ImportFailed || m.State == schema.ImportDone && m.Counts.Pending == 0 {
			return m, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return m, fmt.Errorf("import %d goes on without this command: %w", id, ctx.Err())
		}
	}
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
