package main

import (
	"fmt"
	"io"

	"github.com/leadmill/leadmill/lead"
	"github.com/leadmill/leadmill/lead/contact"
	"github.com/leadmill/leadmill/lead/intake"
	"github.com/leadmill/leadmill/schema"
)

// dryRun judges the rows of a file and stores nothing. Repeats are those within the file.
func (a *app) dryRun(path string) error {
	f, err := openFile(path)
	if err != nil {
		return err
	}
	defer f.Close()
	rows, err := intake.OpenCSV(f)
	if err != nil {
		return err
	}
	v := dryResult{Columns: map[string]string{}, Problems: []dryProblem{}}
	for _, column := range rows.Header() {
		if field := intake.Canonical(column); field != "" {
			v.Columns[column] = field
		}
	}
	seen := map[string]bool{}
	for {
		cells, err := rows.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		v.judge(rows, cells, seen)
	}
	return a.print(v, func() { a.showDry(v) })
}

// dryResult is what a file would become.
type dryResult struct {
	Columns map[string]string `json:"columns"` // of the file, and the field each is read as
	schema.Counts
	Problems []dryProblem `json:"problems"` // the first ones
}

type dryProblem struct {
	Row     int64        `json:"row"`
	Line    int          `json:"line"`
	Verdict lead.Verdict `json:"verdict"`
	Field   string       `json:"field"`
	Code    string       `json:"code"`
}

// shownProblems are as many as a screen takes.
const shownProblems = 20

func (v *dryResult) judge(rows *intake.Table, cells []string, seen map[string]bool) {
	s, _ := intake.Parse(intake.RowPayload(rows.Header(), cells), nil)
	c := contact.Normalise(s, "")
	v.Rows++
	switch {
	case c.Verdict == lead.Rejected:
		v.Rejected++
	case c.Verdict == lead.Quarantined:
		v.Quarantined++
	case c.EmailKey != "" && seen[c.EmailKey], c.PhoneKey != "" && c.EmailKey == "" && seen[c.PhoneKey]:
		v.Duplicate++
	default:
		v.Accepted++
	}
	if c.Verdict == lead.Accepted {
		seen[c.EmailKey], seen[c.PhoneKey] = true, true
		return
	}
	for _, r := range c.Reasons {
		if len(v.Problems) < shownProblems {
			v.Problems = append(v.Problems, dryProblem{rows.Row(), rows.Line(), c.Verdict, r.Field, r.Code})
		}
	}
}

func (a *app) showDry(v dryResult) {
	rows := [][]string{}
	for column, field := range v.Columns {
		rows = append(rows, []string{field, column})
	}
	a.table([]string{"FIELD", "COLUMN"}, sorted(rows))
	fmt.Fprintln(a.stdout)
	a.counts(v.Counts)
	if len(v.Problems) == 0 {
		return
	}
	rows = nil
	for _, p := range v.Problems {
		rows = append(rows, []string{fmt.Sprint(p.Row), fmt.Sprint(p.Line), string(p.Verdict), p.Field, p.Code})
	}
	fmt.Fprintln(a.stdout)
	a.table([]string{"ROW", "LINE", "VERDICT", "FIELD", "CODE"}, rows)
}
