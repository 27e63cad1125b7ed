package jobs

import (
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/lead"
	"github.com/leadmill/leadmill/lead/intake"
	"github.com/leadmill/leadmill/schema"
)

// byteOrderMark tells a spreadsheet that the file is UTF-8.
const byteOrderMark = "\uFEFF"

// WriteRejected writes the rejected rows of an import as CSV, in the order of the file: its columns in their order, and the
// reasons in one more. A file that was mended so can be imported. It holds a page of rows in memory, and is safe to be
// opened in a spreadsheet. A row that is rejected meanwhile may be missing.
func (q *Queue) WriteRejected(ctx context.Context, m schema.Import, w io.Writer) error {
	header := slices.Clone(m.Header)
	err := q.eachRejected(ctx, m.ID, func(row schema.Intake) error {
		header = addMissing(header, row)
		return nil
	})
	if err != nil {
		return err
	}
	if _, err := io.WriteString(w, byteOrderMark); err != nil {
		return err
	}
	out := csv.NewWriter(w)
	if err := out.Write(intake.Safe(append(slices.Clone(header), intake.Because))); err != nil {
		return err
	}
	at := map[string]int{}
	for i, name := range header {
		at[name] = i
	}
	err = q.eachRejected(ctx, m.ID, func(row schema.Intake) error {
		if len(addMissing(header, row)) > len(header) {
			return nil // rejected since the header was written, which has no column for all of it
		}
		return out.Write(intake.Safe(rejectedCells(row, at)))
	})
	out.Flush()
	if err == nil {
		err = out.Error()
	}
	return err
}

func (q *Queue) eachRejected(ctx context.Context, importID int64, do func(schema.Intake) error) error {
	const page = 100 // rows may have a megabyte each
	for after := int64(0); ; {
		var list []schema.Intake
		err := dbctx.Run(ctx, q.db, func(ctx context.Context, tx *dbctx.Tx) (err error) {
			list, err = schema.ImportRows(ctx, tx, importID, lead.Rejected, after, page)
			return err
		}, dbctx.ReadOnly())
		if err != nil {
			return err
		}
		for _, row := range list {
			if err := do(row); err != nil {
				return err
			}
		}
		if len(list) < page {
			return nil
		}
		after = list[page-1].Row
	}
}

// addMissing adds columns that the header does not name: those of a row longer than it.
func addMissing(header []string, row schema.Intake) []string {
	members, _ := intake.Decode([]byte(row.Payload))
	for _, m := range members {
		if !slices.Contains(header, m.Key) {
			header = append(header, m.Key)
		}
	}
	return header
}

// rejectedCells are the cells of a row, its empty ones included, and the reasons.
func rejectedCells(row schema.Intake, at map[string]int) []string {
	members, _ := intake.Decode([]byte(row.Payload))
	cells := make([]string, len(at)+1)
	for _, m := range members {
		cells[at[m.Key]] = fmt.Sprint(m.Value)
	}
	var reasons []string
	for _, r := range row.Reasons {
		reasons = append(reasons, r.Message)
	}
	cells[len(at)] = strings.Join(reasons, " ")
	return cells
}
