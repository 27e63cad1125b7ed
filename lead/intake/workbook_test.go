package intake_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/xuri/excelize/v2"

	"github.com/leadmill/leadmill/lead/intake"
)

// workbook is one that excelize writes: a program that is not ours.
func workbook(t testing.TB, write func(f *excelize.File), o ...excelize.Options) []byte {
	t.Helper()
	f := excelize.NewFile()
	defer f.Close()
	write(f)
	var b bytes.Buffer
	if err := f.Write(&b, o...); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// rowsOf fills a sheet from A1 on.
func rowsOf(t testing.TB, f *excelize.File, sheet string, rows ...[]any) {
	t.Helper()
	for i, row := range rows {
		if err := f.SetSheetRow(sheet, fmt.Sprintf("A%d", i+1), &row); err != nil {
			t.Fatal(err)
		}
	}
}

func open(file []byte, o intake.Options) (*intake.Table, error) {
	return intake.Open(bytes.NewReader(file), int64(len(file)), o)
}

// opened reads all rows of a file that can be read.
func opened(t testing.TB, file []byte, o intake.Options) (*intake.Table, [][]string) {
	t.Helper()
	table, err := open(file, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { table.Close() })
	var all [][]string
	for {
		cells, err := table.Next()
		if err == io.EOF {
			return table, all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, cells)
	}
}

func styled(t testing.TB, f *excelize.File, format string) int {
	t.Helper()
	id, err := f.NewStyle(&excelize.Style{CustomNumFmt: &format})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestCellsOfAWorkbookAreReadAsPeopleSeeThem(t *testing.T) {
	day := time.Date(2026, 3, 1, 14, 25, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		value  any
		format string
		want   string
	}{
		"text":                    {"Ada \"Lovelace\"\n2", "", "Ada \"Lovelace\"\n2"},
		"blanks around":           {"  x ", "", "  x "},
		"telephone as a number":   {447911123456, "", "447911123456"},
		"telephone as a float":    {4.47911123456e+11, "", "447911123456"},
		"telephone, shown as E11": {447911123456, "0.00E+00", "447911123456"},
		"telephone with a plus":   {447911123456, `"+"0`, "+447911123456"},
		"telephone in groups":     {2125550180, `(000) 000\-0000`, "(212) 555-0180"},
		"postal code":             {1067, "00000", "01067"},
		"fraction":                {0.1 + 0.2, "", "0.3"},
		"money":                   {1234.5, `#,##0.00 "€"`, "1234.5"},
		"percent":                 {0.25, "0%", "25%"},
		"negative":                {-3, "", "-3"},
		"large":                   {1e300, "", "1E+300"},
		"yes":                     {true, "", "TRUE"},
		"day":                     {day, "dd/mm/yyyy", "2026-03-01 14:25"},
		"day alone":               {day.Truncate(24 * time.Hour), `[$-407]d. mmmm yyyy`, "2026-03-01"},
		"time":                    {0.5, "h:mm AM/PM", "12:00"},
		"hours":                   {1.5, "[h]:mm", "36:00"},
		"first days of Excel":     {59, "yyyy-mm-dd", "1900-02-28"},
		"no day":                  {-5, "yyyy-mm-dd", "-5"},
		"red":                     {5, "[Red]0", "5"},
		"line end, escaped":       {"a_x000D_b", "", "a\nb"},
	} {
		file := workbook(t, func(f *excelize.File) {
			rowsOf(t, f, "Sheet1", []any{"email", "value"}, []any{"a@b.c", c.value})
			if c.format != "" {
				if err := f.SetCellStyle("Sheet1", "B2", "B2", styled(t, f, c.format)); err != nil {
					t.Fatal(err)
				}
			}
		})
		if _, all := opened(t, file, intake.Options{}); len(all) != 1 || all[0][1] != c.want {
			t.Errorf("%s: %q, want %q", name, all, c.want)
		}
	}
}

func TestAFormulaCountsByItsValue(t *testing.T) {
	file := workbook(t, func(f *excelize.File) {
		rowsOf(t, f, "Sheet1", []any{"email", "phone"}, []any{nil, 1}, []any{nil, 2})
		for cell, formula := range map[string]string{"A2": `"a"&"@b.c"`, "A3": "B3"} {
			if err := f.SetCellFormula("Sheet1", cell, formula); err != nil {
				t.Fatal(err)
			}
		}
	})
	file = edited(t, file, "xl/worksheets/sheet1.xml", func(xml string) string {
		return strings.Replace(xml, `&#34;@b.c&#34;</f>`, `&#34;@b.c&#34;</f><v>a@b.c</v>`, 1)
	})
	table, all := opened(t, file, intake.Options{})
	want := [][]string{{"a@b.c", "1"}, {"#FORMULA!", "2"}}
	if diff := cmp.Diff(want, all); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	if notes := table.Format().Notes; len(notes) != 1 || !strings.Contains(notes[0], "Row 3 holds a formula") {
		t.Errorf("notes = %q, want one about the formula", notes)
	}
}

// edited changes one part of a workbook.
func edited(t testing.TB, file []byte, part string, change func(xml string) string) []byte {
	t.Helper()
	parts := map[string]string{}
	archive, err := zip.NewReader(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range archive.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		parts[f.Name] = string(b)
	}
	parts[part] = change(parts[part])
	return zipped(t, parts)
}

func zipped(t testing.TB, parts map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(parts)) {
		p, err := w.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(p, parts[name]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestTheFirstSheetWithRowsIsReadAndHiddenOnesAreNot(t *testing.T) {
	file := workbook(t, func(f *excelize.File) {
		rowsOf(t, f, "Sheet1", []any{"email"}, []any{"hidden@b.c"})
		for _, name := range []string{"Empty", "Fair", "Other"} {
			if _, err := f.NewSheet(name); err != nil {
				t.Fatal(err)
			}
		}
		rowsOf(t, f, "Fair", []any{"Leads of the fair"}, nil, []any{"E-Mail", "Phone"}, nil, []any{"a@b.c", 1})
		rowsOf(t, f, "Other", []any{"email"}, []any{"other@b.c"})
		f.SetActiveSheet(2)
		if err := f.SetSheetVisible("Sheet1", false); err != nil {
			t.Fatal(err)
		}
	})
	table, all := opened(t, file, intake.Options{})
	want := intake.Format{Kind: "xlsx", Sheet: "Fair", Sheets: []string{"Empty", "Fair", "Other"}, Preamble: 2, HeaderLine: 3,
		Notes: []string{"Sheets that are hidden are left out: 1."}}
	if diff := cmp.Diff(want, table.Format()); diff != "" {
		t.Errorf("format (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([][]string{{"a@b.c", "1"}}, all); diff != "" || table.Line() != 5 {
		t.Errorf("line %d, want 5; rows (-want +got):\n%s", table.Line(), diff)
	}
	if _, all = opened(t, file, intake.Options{Sheet: "other"}); fmt.Sprint(all) != "[[other@b.c]]" {
		t.Errorf("rows of the sheet that was ordered: %v", all)
	}
	if _, err := open(file, intake.Options{Sheet: "none"}); !errors.Is(err, intake.ErrFile) {
		t.Errorf("a sheet that is not there: %v, want ErrFile", err)
	}
}

func TestAHeaderOfTwoRowsIsReadAsOne(t *testing.T) {
	file := workbook(t, func(f *excelize.File) {
		rowsOf(t, f, "Sheet1", []any{"Shoe size", "Contact"}, []any{nil, "E-Mail", "Phone"}, []any{38, "a@b.c", "1"})
		for _, span := range [][2]string{{"A1", "A2"}, {"B1", "C1"}} {
			if err := f.MergeCell("Sheet1", span[0], span[1]); err != nil {
				t.Fatal(err)
			}
		}
	})
	table, all := opened(t, file, intake.Options{})
	if got := fmt.Sprint(table.Header(), all); got != "[Shoe size E-Mail Phone] [[38 a@b.c 1]]" {
		t.Errorf("table = %s", got)
	}
}

func TestCellsOfEveryTypeAndOfExcelsOwnFormatsAreRead(t *testing.T) {
	for name, c := range map[string]struct {
		kind, cell string
		format     int
		want       string
	}{
		"day":               {"n", `<v>46082</v>`, 14, "2026-03-01"},
		"day and time":      {"n", `<v>46082.75</v>`, 22, "2026-03-01 18:00"},
		"seconds":           {"n", `<v>46082.0001</v>`, 22, "2026-03-01 00:00:09"},
		"nearly midnight":   {"n", `<v>46081.999999</v>`, 22, "2026-03-01 00:00"},
		"time":              {"n", `<v>0.25</v>`, 20, "06:00"},
		"hours":             {"n", `<v>2</v>`, 46, "48:00"},
		"percent":           {"n", `<v>0.07</v>`, 9, "7%"},
		"money":             {"n", `<v>1234.5</v>`, 44, "1234.5"},
		"exponent":          {"n", `<v>4.4791112345E10</v>`, 11, "44791112345"},
		"no number":         {"n", `<v>x</v>`, 0, "x"},
		"a far day":         {"n", `<v>1e9</v>`, 14, "1000000000"},
		"error":             {"e", `<v>#N/A</v>`, 0, "#N/A"},
		"no":                {"b", `<v>0</v>`, 0, "FALSE"},
		"ISO 8601":          {"d", `<v>2026-03-01</v>`, 0, "2026-03-01"},
		"text of a formula": {"str", `<f>A1</f><v>a_x000A_b</v>`, 0, "a\nb"},
		"empty":             {"str", `<f>A1</f><v></v>`, 0, ""},
	} {
		p := parts(sheetStart + `<row><c s="0" t="` + c.kind + `">` + c.cell + `</c><c t="str"><v>.</v></c></row>` + sheetEnd)
		withStyles(p, fmt.Sprintf(`<cellXfs><xf numFmtId="%d"/></cellXfs>`, c.format))
		if _, all := opened(t, zipped(t, p), intake.Options{}); !slices.Equal(all[0], []string{c.want, "."}) {
			t.Errorf("%s: %q, want %q", name, all[0], c.want)
		}
	}
}

// withStyles adds a style sheet to the smallest workbook.
func withStyles(p map[string]string, styles string) {
	const rels = "xl/_rels/workbook.xml.rels"
	p["xl/styles.xml"] = "<styleSheet>" + styles + "</styleSheet>"
	p[rels] = strings.Replace(p[rels], "</R", `<Relationship Id="rId3" Type="x/styles" Target="/xl/styles.xml"/></R`, 1)
}

func TestTheSampleIsTheSameAsAWorkbook(t *testing.T) {
	header, all := readAll(t, shared(t, "leads/sample-500.csv"))
	lines := [][]any{}
	for _, row := range append([][]string{header}, all...) {
		line := make([]any, len(row))
		for i, cell := range row {
			line[i] = cell
		}
		lines = append(lines, line)
	}
	streamed := workbook(t, func(f *excelize.File) { // with texts in the cells, not shared ones
		w, err := f.NewStreamWriter("Sheet1")
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range lines {
			if err := w.SetRow(fmt.Sprintf("A%d", i+1), line); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
	})
	for name, file := range map[string][]byte{"shared": workbookOf(t, lines...), "streamed": streamed} {
		table, got := opened(t, file, intake.Options{})
		if diff := cmp.Diff(all, got); diff != "" || !slices.Equal(header, table.Header()) {
			t.Errorf("%s: header %q, rows (-want +got):\n%s", name, table.Header(), diff)
		}
	}
}

func TestDaysMayCountFrom1904(t *testing.T) {
	p := parts(sheetStart + `<row><c s="0"><v>44620</v></c></row>` + sheetEnd)
	p["xl/workbook.xml"] = strings.Replace(p["xl/workbook.xml"], "<sheets>", `<workbookPr date1904="1"/><sheets>`, 1)
	withStyles(p, `<cellXfs><xf numFmtId="14"/></cellXfs>`)
	if _, all := opened(t, zipped(t, p), intake.Options{}); fmt.Sprint(all) != "[[2026-03-01]]" {
		t.Errorf("rows = %v", all)
	}
}

func TestASheetWithoutAHeaderIsReadFromItsFirstRow(t *testing.T) {
	file := workbookOf(t, []any{"Members"}, nil, []any{"Ada", "a@b.example"}, []any{"Bob", "b@b.example"})
	table, all := opened(t, file, intake.Options{})
	if got := fmt.Sprint(table.Header(), all); got != "[column_1 column_2] [[Ada a@b.example] [Bob b@b.example]]" {
		t.Errorf("table = %s", got)
	}
	if table, all = opened(t, file, intake.Options{Header: 4}); fmt.Sprint(table.Header(), all) != "[Bob b@b.example] []" {
		t.Errorf("with the header in row 4: %v %v", table.Header(), all)
	}
}

// workbookOf is one of a single sheet.
func workbookOf(t testing.TB, rows ...[]any) []byte {
	return workbook(t, func(f *excelize.File) { rowsOf(t, f, "Sheet1", rows...) })
}
