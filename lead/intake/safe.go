package intake

import (
	"strings"
	"unicode/utf8"
)

// formulaStarts are what a spreadsheet takes for the start of a formula, or drops from before one; the wide ones in East
// Asia.
const formulaStarts = "=+-@\t\r\n＝＋－＠"

// looksLikeFormula looks behind apostrophes: one more in front of them is how such a text is kept.
func looksLikeFormula(cell string) bool {
	first, size := utf8.DecodeRuneInString(strings.TrimLeft(cell, "'"))
	return size > 0 && strings.ContainsRune(formulaStarts, first)
}

// Safe keeps a spreadsheet from running cells of a file that we write as formulas (CWE-1236): an apostrophe stands
// before what looks like one, and the reader of CSV takes it off again. It changes the cells in place.
func Safe(cells []string) []string {
	for i, cell := range cells {
		if looksLikeFormula(cell) {
			cells[i] = "'" + cell
		}
	}
	return cells
}

// unguarded takes off the apostrophe that Safe, or a spreadsheet, has put before a cell.
func unguarded(cell string) string {
	if strings.HasPrefix(cell, "'") && looksLikeFormula(cell) {
		return cell[1:]
	}
	return cell
}
