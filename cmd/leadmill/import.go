package main

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/jobs"
	"github.com/leadmill/leadmill/lead"
	"github.com/leadmill/leadmill/lead/intake"
)

// importOrders are the flags of import.
type importOrders struct {
	source    string
	dry, wait bool
	columns   []string // "Column=field"
	options   intake.Options
}

func (a *app) importCommand() *cobra.Command {
	var o importOrders
	c := a.jsonFlag(&cobra.Command{
		Use: "import FILE", Short: "Take in a CSV or XLSX file", Args: cobra.ExactArgs(1),
		Long: "Stores the file and enqueues its rows; workers process them. --wait follows\n" +
			"until each has its verdict, and writes the rejected rows with their reasons to\n" +
			"FILE.rejected.csv, or FILE.rejected-2.csv and so on, to be mended and imported\n" +
			"again. On SQLite, where no worker runs, the command works the rows itself.\n\n" +
			"Encoding, delimiter, header and columns are recognised: --dry-run shows how, and\n" +
			"the flags overrule it. --map is remembered for the next file of the source with\n" +
			"the same columns. The same file again adds nothing. A file called list, show or\n" +
			"as another command below is ./list.",
		Example: "  leadmill import fair.csv --source fair --wait\n  leadmill import fair.csv --dry-run\n" +
			"  leadmill import fair.xlsx --sheet Visitors --map \"Mail 2=-\" --map Fon=phone",
		RunE: func(c *cobra.Command, args []string) error {
			if o.dry {
				return a.dryRun(c.Context(), args[0], o, c.Flags().Changed("source"))
			}
			return a.importFile(c.Context(), args[0], o)
		},
	})
	o.flags(c)
	c.AddCommand(a.importListCommand(), a.importShowCommand(), a.importRejectedCommand())
	c.AddCommand(a.importSteerCommands()...)
	return c
}

func (o *importOrders) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.source, "source", "import", "where the rows come from; made if there is none")
	f.BoolVar(&o.dry, "dry-run", false, "read and judge the rows, store nothing; with --source as its files are read")
	f.BoolVar(&o.wait, "wait", false, "follow until every row has its verdict")
	f.StringArrayVar(&o.columns, "map", nil, "what a column is, as COLUMN=FIELD; FIELD - is none")
	f.StringVar(&o.options.Encoding, "encoding", "", "of CSV, as utf-8 or windows-1252")
	f.StringVar(&o.options.Delimiter, "delimiter", "", "of CSV: one sign, or tab")
	f.StringVar(&o.options.Quote, "quote", "", "of CSV: one sign, or none")
	f.IntVar(&o.options.Header, "header-line", 0, "line of the header, from 1; -1 there is none")
	f.StringVar(&o.options.Sheet, "sheet", "", "of a workbook")
	for _, name := range []string{"encoding", "delimiter", "quote", "header-line", "sheet"} {
		f.Lookup(name).DefValue = "recognised"
	}
}

// orders are the flags as the import takes them.
func (o importOrders) orders() (jobs.Orders, error) {
	orders := jobs.Orders{Options: o.options, Mapping: intake.Mapping{}}
	if orders.Options.Delimiter == "tab" {
		orders.Options.Delimiter = "\t"
	}
	for _, pair := range o.columns {
		at := strings.LastIndex(pair, "=")
		if at < 1 {
			return orders, usagef("--map wants COLUMN=FIELD")
		}
		field := pair[at+1:]
		if field != intake.Ignored && !slices.Contains(lead.FieldNames, field) {
			return orders, usagef("--map names the field %q, want one of %s, or - for none", field, strings.Join(lead.FieldNames, " "))
		}
		orders.Mapping[pair[:at]] = field
	}
	return orders, nil
}

// hasColumns refuses orders for columns that the file does not have.
func hasColumns(e *jobs.Examined, m intake.Mapping) error {
	for column := range m {
		if !slices.Contains(e.Header, column) {
			return usagef("--map names a column that the file does not have; it has %q", e.Header)
		}
	}
	return nil
}

func (a *app) importFile(ctx context.Context, path string, o importOrders) error {
	if err := checkName(o.source); err != nil {
		return err
	}
	orders, err := o.orders()
	if err != nil {
		return err
	}
	f, err := openFile(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := examined(f, orders); err != nil {
		return err
	}
	return a.working(ctx, func(db *dbctx.DB, q *jobs.Queue) error {
		id, existed, err := q.ReceiveFile(ctx, jobs.File{Source: o.source, Name: path, Body: f, Orders: orders})
		if err != nil {
			return err
		}
		if existed {
			a.say("the same file was imported from this source before, as import %d", id)
		}
		return a.followImport(ctx, db, q, id, existed, o.wait || db.Dialect() == dbctx.SQLite, path)
	})
}

// examined says whether the file can be read so, before anything is stored.
func examined(f *os.File, orders jobs.Orders) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	e, err := jobs.Examine(f, info.Size(), orders)
	if err != nil {
		return err
	}
	return errors.Join(hasColumns(e, orders.Mapping), e.Close())
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

// working runs fn with a queue. On SQLite, where no worker runs, it works the jobs meanwhile.
func (a *app) working(ctx context.Context, fn func(db *dbctx.DB, q *jobs.Queue) error) error {
	hurry := atOnce(ctx)
	return a.withQueue(ctx, func(db *dbctx.DB, q *jobs.Queue) (err error) {
		if db.Dialect() == dbctx.SQLite {
			if err := q.Start(context.WithoutCancel(ctx)); err != nil {
				return err
			}
			defer func() { err = errors.Join(err, q.Stop(hurry)) }()
		}
		return fn(db, q)
	})
}
