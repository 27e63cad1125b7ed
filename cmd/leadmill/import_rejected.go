package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/lead"
	"github.com/leadmill/leadmill/lead/intake"
	"github.com/leadmill/leadmill/schema"
)

// writeRejected writes the rejected rows of an import in the order of the file, each with its reasons, to be mended and
// imported again.
func writeRejected(ctx context.Context, db *dbctx.DB, importID int64, path string) (err error) {
	rows, err := rejectedRows(ctx, db, importID)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := csv.NewWriter(f)
	header := headerOf(rows)
	if err := w.Write(safe(append(header, "rejected_because"))); err != nil {
		return err
	}
	for _, row := range rows {
		if err := w.Write(safe(cellsOf(row, header))); err != nil {
			return err
		}
	}
	w.Flush()
	return w.Error()
}

func rejectedRows(ctx context.Context, db *dbctx.DB, importID int64) (rows []schema.Intake, err error) {
	const page = 1000
	for before := int64(0); ; {
		var list []schema.Intake
		err := dbctx.Run(ctx, db, func(ctx context.Context, tx *dbctx.Tx) error {
			list, err = schema.ListIntakes(ctx, tx, schema.IntakeFilter{ImportID: importID, Status: lead.Rejected, Before: before, Limit: page})
			return err
		}, dbctx.ReadOnly())
		if err != nil {
			return nil, err
		}
		rows = append(rows, list...)
		if len(list) < page {
			slices.Reverse(rows)
			return rows, nil
		}
		before = list[page-1].ID
	}
}

// headerOf collects the columns of all rows; a row's payload leaves its empty ones out.
func headerOf(rows []schema.Intake) (header []string) {
	for _, row := range rows {
		members, _ := intake.Decode([]byte(row.Payload))
		for _, m := range members {
			if !slices.Contains(header, m.Key) {
				header = append(header, m.Key)
			}
		}
	}
	return header
}

func cellsOf(row schema.Intake, header []string) []string {
	members, _ := intake.Decode([]byte(row.Payload))
	cells := make([]string, len(header)+1)
	for _, m := range members {
		cells[slices.Index(header, m.Key)] = fmt.Sprint(m.Value)
	}
	var reasons []string
	for _, r := range row.Reasons {
		reasons = append(reasons, r.Message)
	}
	cells[len(header)] = strings.Join(reasons, " ")
	return cells
}

// safe keeps a spreadsheet from running a cell as a formula (CWE-1236).
func safe(cells []string) []string {
	for i, cell := range cells {
		if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
			cells[i] = "'" + cell
		}
	}
	return cells
}
