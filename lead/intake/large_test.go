package intake_test

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"testing"

	"github.com/leadmill/leadmill/lead/intake"
)

// largeWorkbook has rows of 8 cells as Excel writes them: texts are shared, and two of each row are its own.
func largeWorkbook(t testing.TB, rows int) []byte {
	t.Helper()
	var file bytes.Buffer
	archive := zip.NewWriter(&file)
	part := func(name string) io.Writer {
		w, err := archive.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	for name, text := range parts("") {
		if name != "xl/worksheets/sheet1.xml" {
			_, _ = io.WriteString(part(name), text)
		}
	}
	texts := part("xl/sharedStrings.xml")
	fmt.Fprint(texts, `<sst><si><t>Email</t></si><si><t>Name</t></si><si><t>Phone</t></si><si><t>Example Widgets Ltd</t></si>`)
	for i := range rows {
		fmt.Fprintf(texts, `<si><t>ada.lovelace.%d@example.com</t></si><si><t>Ada Lovelace %d</t></si>`, i, i)
	}
	fmt.Fprint(texts, `</sst>`)
	sheet := part("xl/worksheets/sheet1.xml")
	fmt.Fprint(sheet, `<worksheet><sheetData>`,
		`<row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1" t="s"><v>1</v></c><c r="C1" t="s"><v>2</v></c></row>`)
	for i := range rows {
		r := i + 2
		fmt.Fprintf(sheet, `<row r="%d" spans="1:8"><c r="A%d" s="1" t="s"><v>%d</v></c><c r="B%d" t="s"><v>%d</v></c>`, r, r, 4+2*i, r, 5+2*i)
		fmt.Fprintf(sheet, `<c r="C%d"><v>4420%08d</v></c><c r="D%d" t="s"><v>3</v></c><c r="E%d" t="s"><v>3</v></c>`, r, i, r, r)
		fmt.Fprintf(sheet, `<c r="F%d"><v>45000.5</v></c><c r="G%d" t="b"><v>1</v></c><c r="H%d" t="s"><v>3</v></c></row>`, r, r, r)
	}
	fmt.Fprint(sheet, sheetEnd)
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

func TestAWorkbookOf200000RowsIsReadInBoundedMemory(t *testing.T) {
	file := largeWorkbook(t, 200_000)
	n := 0
	err := inMemory(t, "200,000 rows", 128<<20, func() error {
		table, err := open(file, intake.Options{})
		if err != nil {
			return err
		}
		defer table.Close()
		for ; err == nil; n++ {
			_, err = table.Next()
		}
		return err
	})
	if err != io.EOF || n != 200_001 {
		t.Errorf("%d rows, then %v; want 200,000, then EOF", n-1, err)
	}
}

func BenchmarkWorkbook(b *testing.B) {
	const rows = 50_000
	file := largeWorkbook(b, rows)
	b.ReportAllocs()
	b.ResetTimer()
	var table *intake.Table
	for i := range b.N {
		if i%rows == 0 {
			table, _ = open(file, intake.Options{})
		}
		_, _ = table.Next()
	}
}
