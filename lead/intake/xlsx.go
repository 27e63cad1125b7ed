package intake

import (
	"fmt"
	"io"
	"strings"
)

// openXLSX reads a workbook as far as the header of the sheet that is ordered, or of the first that holds rows.
func openXLSX(f io.ReaderAt, size int64, o Options) (*Table, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	w, err := openWorkbook(f, size)
	if err != nil {
		return nil, err
	}
	t := &Table{format: Format{Kind: "xlsx"}}
	hidden := 0
	for _, s := range w.sheets {
		if s.hidden {
			hidden++
		} else {
			t.format.Sheets = append(t.format.Sheets, s.name)
		}
	}
	if hidden > 0 {
		t.note("Sheets that are hidden are left out: %d.", hidden)
	}
	chosen, rows, err := w.choose(o)
	if err != nil {
		return nil, err
	}
	t.format.Sheet = chosen.name
	if err := t.startSheet(w, chosen, rows, o); err != nil {
		return nil, err
	}
	return t, nil
}

// choose returns the sheet to read and its first rows.
func (w *workbook) choose(o Options) (sheet, []physicalRow, error) {
	for _, s := range w.sheets {
		if o.Sheet == "" && s.hidden || o.Sheet != "" && !strings.EqualFold(s.name, o.Sheet) {
			continue
		}
		rows, err := w.firstRows(s)
		if err != nil || len(rows) > 0 || o.Sheet != "" {
			return s, rows, err
		}
	}
	if o.Sheet != "" {
		return sheet{}, nil, fmt.Errorf("%w: the workbook has no sheet of that name", ErrFile)
	}
	return sheet{}, nil, fmt.Errorf("%w: no sheet of the workbook holds rows", ErrFile)
}

func (w *workbook) firstRows(s sheet) (rows []physicalRow, err error) {
	r, err := w.openSheet(s)
	if err != nil {
		return nil, damaged(err)
	}
	defer r.Close()
	for tries := 0; len(rows) < lookedRows && tries < 100*lookedRows; tries++ {
		if err := r.advance(); err == io.EOF {
			break
		} else if err != nil {
			return nil, err
		}
		if !r.blank() {
			rows = append(rows, physicalRow{r.cells(), r.line})
		}
	}
	return rows, nil
}

// startSheet goes to the first row behind the header.
func (t *Table) startSheet(w *workbook, s sheet, rows []physicalRow, o Options) error {
	if len(rows) == 0 {
		return fmt.Errorf("%w: the sheet holds no rows", ErrFile)
	}
	var d dialect
	d.find(rows, o)
	t.noteUncalculated(rows)
	r, err := w.openSheet(s)
	if err != nil {
		return damaged(err)
	}
	t.rows = r
	if err := t.passHeader(r, rows, d); err != nil {
		r.Close()
		return err
	}
	return nil
}

func (t *Table) passHeader(r *sheetRows, rows []physicalRow, d dialect) error {
	r.skip = d.skip
	if d.headless {
		return t.name(make([]string, d.width), 0)
	}
	for {
		err := r.advance()
		if err == io.EOF {
			err = fmt.Errorf("%w: it has no row %d, where its header is said to be", ErrFile, d.skip+1)
		}
		if err != nil {
			return err
		}
		if !r.blank() {
			return t.name(under(rows, r.cells(), r.line), r.line)
		}
	}
}

// under fills the empty cells of a header with those right above: a cell that spans both rows is written in the upper.
func under(rows []physicalRow, header []string, line int) []string {
	for _, above := range rows {
		if above.line != line-1 || len(above.cells) < 2 {
			continue
		}
		for i, c := range above.cells {
			if i < len(header) && strings.TrimSpace(header[i]) == "" {
				header[i] = c
			}
		}
	}
	return header
}

func (t *Table) noteUncalculated(rows []physicalRow) {
	for _, row := range rows {
		for _, c := range row.cells {
			if c == uncalculated {
				t.note("Row %d holds a formula that was never worked out: "+
					"open the workbook in a spreadsheet, save it and send it again.", row.line)
				return
			}
		}
	}
}
