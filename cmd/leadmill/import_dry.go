package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/jobs"
	"github.com/leadmill/leadmill/lead"
	"github.com/leadmill/leadmill/lead/intake"
	"github.com/leadmill/leadmill/schema"
)

// dryResult is what a file would become.
type dryResult struct {
	Format  intake.Format   `json:"format"`
	Columns []intake.Column `json:"columns"` // of the file, and the field each is read as
	First   []dryRow        `json:"first"`   // the first rows
	schema.Counts
	Problems []dryProblem `json:"problems"` // the first ones
}

type dryRow struct {
	Row     int64             `json:"row"`
	Line    int               `json:"line"`
	Verdict lead.Verdict      `json:"verdict"`
	Fields  map[string]string `json:"fields"`
	Reasons []lead.Reason     `json:"reasons"`
}

type dryProblem struct {
	Row     int64        `json:"row"`
	Line    int          `json:"line"`
	Verdict lead.Verdict `json:"verdict"`
	Field   string       `json:"field"`
	Code    string       `json:"code"`
	Message string       `json:"message"`
}

// Rows are shown as far as a screen takes them.
const (
	shownRows     = 5
	shownProblems = 20
)

// dryRun judges the rows of a file and stores nothing. Repeats are those within the file. The database is asked only if a
// source is named: for its country, and for what was decided about its files before.
func (a *app) dryRun(ctx context.Context, path string, o importOrders, named bool) error {
	orders, err := o.orders()
	if err != nil {
		return err
	}
	f, err := openFile(path)
	if err != nil {
		return err
	}
	defer f.Close()
	e, err := a.examine(ctx, f, orders, o.source, named)
	if err != nil {
		return err
	}
	defer e.Close()
	if err := hasColumns(e, orders.Mapping); err != nil {
		return err
	}
	foreseen, err := e.Judge(shownProblems, func() bool { return ctx.Err() != nil })
	if err = errors.Join(err, ctx.Err()); err != nil {
		return err
	}
	v := newDryResult(e, foreseen)
	return a.print(v, func() { a.showDry(v) })
}

func (a *app) examine(ctx context.Context, f *os.File, o jobs.Orders, source string, named bool) (e *jobs.Examined, err error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !named {
		return jobs.Examine(f, info.Size(), o)
	}
	err = a.withQueue(ctx, func(_ *dbctx.DB, q *jobs.Queue) error {
		e, err = q.Examine(ctx, f, info.Size(), source, o)
		return err
	})
	return e, err
}

func newDryResult(e *jobs.Examined, f jobs.Foreseen) dryResult {
	v := dryResult{Format: e.Format, Columns: e.Columns, Counts: f.Counts, First: []dryRow{}, Problems: []dryProblem{}}
	for _, r := range f.First[:min(len(f.First), shownRows)] {
		v.First = append(v.First, dryRow{r.Row, r.Line, r.Verdict, r.Values, r.Reasons})
	}
	for _, r := range f.Problems {
		for _, reason := range r.Reasons {
			if len(v.Problems) < shownProblems {
				v.Problems = append(v.Problems, dryProblem{r.Row, r.Line, r.Verdict, reason.Field, reason.Code, reason.Message})
			}
		}
	}
	return v
}

func (a *app) showDry(v dryResult) {
	fmt.Fprintln(a.stdout, formatLine(v.Format))
	for _, note := range v.Format.Notes {
		fmt.Fprintln(a.stdout, printable(note))
	}
	fmt.Fprintln(a.stdout)
	a.showColumns(v.Columns)
	fmt.Fprintln(a.stdout)
	a.showFirst(v.First)
	fmt.Fprintln(a.stdout)
	a.counts(v.Counts)
	if len(v.Problems) > 0 {
		fmt.Fprintln(a.stdout)
		a.showProblems(v.Problems)
	}
}

// formatLine says how a file is read: "CSV, utf-8, delimiter ;, CRLF, header in line 3".
func formatLine(f intake.Format) string {
	said := []string{strings.ToUpper(f.Kind)}
	for _, one := range []struct{ name, value string }{
		{"sheet ", f.Sheet}, {"", f.Encoding}, {"delimiter ", delimiterName(f.Delimiter)}, {"quote ", f.Quote}, {"", f.LineEnds},
	} {
		if one.value != "" {
			said = append(said, one.name+printable(one.value))
		}
	}
	if f.HeaderLine > 0 {
		return strings.Join(append(said, "header in line "+strconv.Itoa(f.HeaderLine)), ", ")
	}
	return strings.Join(append(said, "no header"), ", ")
}

func delimiterName(d string) string {
	if d == "\t" {
		return "tab"
	}
	return d
}

func (a *app) showColumns(columns []intake.Column) {
	rows := [][]string{}
	for _, c := range columns {
		field := c.Field
		if field == "" {
			field = "-"
		}
		rows = append(rows, []string{field, c.How, c.Name})
	}
	a.table([]string{"FIELD", "BY", "COLUMN"}, rows)
}

// showFirst shows the first rows as they would become, one line for each field: people have more fields than a screen has
// columns.
func (a *app) showFirst(first []dryRow) {
	rows := [][]string{}
	for _, r := range first {
		shown := []string{strconv.FormatInt(r.Row, 10), strconv.Itoa(r.Line), string(r.Verdict)}
		for _, name := range lead.FieldNames {
			if value := r.Fields[name]; value != "" {
				rows = append(rows, append(shown, name, value))
				shown = []string{"", "", ""}
			}
		}
		if shown[0] != "" {
			rows = append(rows, append(shown, "", ""))
		}
	}
	a.table([]string{"ROW", "LINE", "VERDICT", "FIELD", "VALUE"}, rows)
}

func (a *app) showProblems(problems []dryProblem) {
	rows := [][]string{}
	for _, p := range problems {
		rows = append(rows, []string{strconv.FormatInt(p.Row, 10), strconv.Itoa(p.Line), string(p.Verdict), p.Field, p.Message})
	}
	a.table([]string{"ROW", "LINE", "VERDICT", "FIELD", "REASON"}, rows)
}
