package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/jobs"
	"github.com/leadmill/leadmill/lead/intake"
	"github.com/leadmill/leadmill/schema"
)

func (a *app) importListCommand() *cobra.Command {
	var limit int
	c := a.jsonFlag(&cobra.Command{
		Use: "list", Short: "List imports, newest first", Args: cobra.NoArgs,
		Example: "  leadmill import list --json",
		RunE:    func(c *cobra.Command, _ []string) error { return a.importList(c.Context(), limit) },
	})
	c.Flags().IntVar(&limit, "limit", 50, "at most, up to 1000")
	return c
}

func (a *app) importList(ctx context.Context, limit int) error {
	list, rows := []imported{}, [][]string{}
	err := a.inScope(ctx, func(ctx context.Context, tx *dbctx.Tx) error {
		imports, err := schema.ListImports(ctx, tx, 0, limit)
		for _, m := range imports {
			v := newImported(m)
			list = append(list, v)
			rows = append(rows, []string{v.ImportID, v.State, strconv.FormatInt(m.Counts.Rows, 10),
				strconv.FormatInt(m.Counts.Accepted, 10), strconv.FormatInt(m.Counts.Duplicate, 10),
				strconv.FormatInt(m.Counts.Rejected, 10), cut(m.Source, 12), m.File})
		}
		return err
	}, dbctx.ReadOnly())
	if err != nil {
		return err
	}
	return a.print(list, func() {
		a.table([]string{"ID", "STATE", "ROWS", "NEW", "KNOWN", "REJECTED", "SOURCE", "FILE"}, rows)
	})
}

func (a *app) importShowCommand() *cobra.Command {
	var wait bool
	c := a.jsonFlag(&cobra.Command{
		Use: "show ID", Short: "Show how far an import is", Args: cobra.ExactArgs(1),
		Long: "Shows how a file was read, how far it is, and what became of its rows; of an\n" +
			"import that was undone also the leads that were kept, and why.",
		Example: "  leadmill import show 7 --wait",
		RunE: func(c *cobra.Command, args []string) error {
			return a.importShow(c.Context(), args[0], wait)
		},
	})
	c.Flags().BoolVar(&wait, "wait", false, "follow until nothing more happens by itself")
	return c
}

// importDetails is an import as show prints it.
type importDetails struct {
	imported
	Format  intake.Format  `json:"format"`
	Header  []string       `json:"header"`
	Mapping intake.Mapping `json:"mapping"`
	Kept    []schema.Kept  `json:"kept"`
}

func (a *app) importShow(ctx context.Context, arg string, wait bool) error {
	id, err := importID(arg)
	if err != nil {
		return err
	}
	show := func(db *dbctx.DB, q *jobs.Queue) error {
		m, err := q.GetImport(ctx, id)
		if wait && err == nil {
			m, err = a.awaitImport(ctx, db, q, id)
		}
		if err != nil {
			return err
		}
		v := importDetails{imported: newImported(m), Format: m.Format, Header: m.Header, Mapping: m.Mapping}
		if v.Kept, err = keptLeads(ctx, db, id); err != nil {
			return err
		}
		return a.print(v, func() { a.showDetails(v) })
	}
	if wait {
		return a.working(ctx, show)
	}
	return a.withQueue(ctx, show)
}

func importID(arg string) (int64, error) {
	id, err := strconv.ParseInt(arg, 10, 64)
	if err != nil {
		return 0, usagef("ID is a number; leadmill import list shows them")
	}
	return id, nil
}

func keptLeads(ctx context.Context, db *dbctx.DB, id int64) (kept []schema.Kept, err error) {
	kept = []schema.Kept{}
	err = dbctx.Run(ctx, db, func(ctx context.Context, tx *dbctx.Tx) error {
		for after := int64(0); ; {
			page, err := schema.ImportKept(ctx, tx, id, after, 1000)
			kept = append(kept, page...)
			if err != nil || len(page) < 1000 {
				return err
			}
			after = page[len(page)-1].LeadID
		}
	}, dbctx.ReadOnly())
	return kept, err
}

// whyKept says to people why a revert left a lead alone.
var whyKept = map[string]string{
	schema.KeptShared:    "others have sent something to it since",
	schema.KeptDelivered: "a destination was told of it, or perhaps was",
	schema.KeptChanged:   "a person has changed something",
	schema.KeptTheirs:    "it was there before; holds data from this file",
}

func (a *app) showDetails(v importDetails) {
	fmt.Fprintf(a.stdout, "import %s %s: %s from %s\n", v.ImportID, v.State, printable(v.File), v.Source)
	a.counts(v.Counts)
	if v.Total >= 0 {
		fmt.Fprintf(a.stdout, "%-12s %8d\n", "in the file", v.Total)
	}
	if v.Undone > 0 {
		fmt.Fprintf(a.stdout, "%-12s %8d\n", "undone", v.Undone)
	}
	if v.Error != "" {
		fmt.Fprintln(a.stdout, printable(v.Error))
	}
	if len(v.Kept) == 0 {
		return
	}
	rows := [][]string{}
	for _, k := range v.Kept[:min(len(v.Kept), shownProblems)] {
		rows = append(rows, []string{strconv.FormatInt(k.LeadID, 10), whyKept[k.Reason]})
	}
	fmt.Fprintf(a.stdout, "\n%d leads are kept:\n", len(v.Kept))
	a.table([]string{"LEAD", "BECAUSE"}, rows)
}

func (a *app) importRejectedCommand() *cobra.Command {
	var path string
	c := &cobra.Command{
		Use: "rejected ID", Short: "Write the rejected rows of an import as CSV", Args: cobra.ExactArgs(1),
		Long: "Writes the rejected rows with the reasons in a last column. Mend them and import\n" +
			"the file: that column is left out.",
		Example: "  leadmill import rejected 7 -o mend.csv",
		RunE: func(c *cobra.Command, args []string) error {
			return a.importRejected(c.Context(), args[0], path)
		},
	}
	c.Flags().StringVarP(&path, "output", "o", "", "file to write (default stdout)")
	return c
}

func (a *app) importRejected(ctx context.Context, arg, path string) error {
	id, err := importID(arg)
	if err != nil {
		return err
	}
	return a.withQueue(ctx, func(_ *dbctx.DB, q *jobs.Queue) error {
		m, err := q.GetImport(ctx, id)
		if err != nil {
			return err
		}
		if path != "" {
			return saveRejected(ctx, q, m, path, os.O_TRUNC)
		}
		out := bufio.NewWriter(a.stdout)
		return errors.Join(q.WriteRejected(ctx, m, out), out.Flush())
	})
}
