package intake

import "strings"

// formulaStarts are what a spreadsheet takes for the start of a formula.
const formulaStarts = "=+-@\t\r"

// Safe keeps a spreadsheet from running cells of a file that we write as formulas (CWE-1236): an apostrophe stands
// before what looks like one. It changes the cells in place.
func Safe(cells []string) []string {
	for i, cell := range cells {
		if cell != "" && strings.IndexByte(formulaStarts, cell[0]) >= 0 {
			cells[i] = "'" + cell
		}
	}
	return cells
}
