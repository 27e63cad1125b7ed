package intake_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/xuri/excelize/v2"

	"github.com/leadmill/leadmill/lead/intake"
)

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"email":"a@b.c","x":[1,{"y":null}]}`))
	f.Add([]byte(`{"E-mail 1 - Value":" ::: a@b.c ::: ","Phone 2":4.5,"opt in":true}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		for _, m := range []intake.Mapping{nil, {"x": "email", "email": intake.Ignored}} {
			s, _ := intake.Parse(payload, m)
			if s.Fields == nil || s.Extra == nil {
				t.Errorf("Parse(%q) = %+v, want maps", payload, s)
			}
			if b, err := json.Marshal(s.Extra); err != nil || strings.Contains(string(b), `\u0000`) {
				t.Errorf("extra of %q = %s, %v; want it storable", payload, b, err)
			}
		}
	})
}

// checkTable reads a file in two ways: at once, and again from the middle. Both have to give the same.
func checkTable(t *testing.T, file []byte, o intake.Options) {
	table, all, err := readRows(t, file, o, 0)
	if table == nil {
		if !errors.Is(err, intake.ErrFile) {
			t.Fatalf("%v, want ErrFile", err)
		}
		return
	}
	half := len(all) / 2
	_, rest, again := readRows(t, file, o, half)
	if !slices.EqualFunc(all[half:], rest, slices.Equal) || (err == nil) != (again == nil) || err != nil && err.Error() != again.Error() {
		t.Fatalf("%d rows behind %d, then %v; want %d, then %v", len(rest), half, again, len(all)-half, err)
	}
	columns := intake.Columns(table.Header(), all[:min(len(all), 20)], nil)
	if m := intake.MappingOf(columns); len(columns) != len(table.Header()) || len(m) > len(columns) {
		t.Fatalf("%d columns, want %d", len(columns), len(table.Header()))
	}
}

func readRows(t *testing.T, file []byte, o intake.Options, behind int) (*intake.Table, [][]string, error) {
	table, err := open(file, o)
	if err != nil {
		return nil, nil, err
	}
	defer table.Close()
	if err := table.Skip(int64(behind)); err != nil && err != io.EOF {
		t.Fatalf("rows that were read cannot be skipped: %v", err)
	}
	var all [][]string
	for {
		cells, err := table.Next()
		if err == io.EOF {
			return table, all, nil
		}
		if err != nil {
			if !errors.Is(err, intake.ErrFile) {
				t.Fatalf("%v, want ErrFile", err)
			}
			return table, all, err
		}
		if payload := intake.RowPayload(table.Header(), cells); !json.Valid(payload) || bytes.Contains(payload, []byte(`\u0000`)) {
			t.Fatalf("payload %q, want JSON that can be stored", payload)
		}
		if len(cells) < len(table.Header()) || len(all) > len(file) {
			t.Fatalf("row %d has %d cells, the header %d", table.Row(), len(cells), len(table.Header()))
		}
		all = append(all, cells)
	}
}

func FuzzCSV(f *testing.F) {
	for _, s := range []string{"a,b\n1,\"2\n3\"\n", "\xFF\xFEa\x00", "sep=;\r\nemail;x\r\r\n'a';\"b\"c\"",
		"email\tx\n\"a\tb\n\x00\n'=1", "Notes:\n\nURL,Connected On,Position\n,\n"} {
		f.Add([]byte(s), uint8(0), uint8(0), uint8(0), int8(0))
	}
	f.Add([]byte(german), uint8(3), uint8(2), uint8(1), int8(-1))
	f.Fuzz(func(t *testing.T, file []byte, encoding, delimiter, quote uint8, header int8) {
		pick := func(n uint8, from ...string) string { return from[int(n)%len(from)] }
		checkTable(t, file, intake.Options{
			Encoding:  pick(encoding, "", "utf-8", "utf-16le", "utf-16be", "windows-1252", "shift_jis", "gb18030", "macintosh"),
			Delimiter: pick(delimiter, "", ",", ";", "\t", "|"),
			Quote:     pick(quote, "", `"`, "'", "none"),
			Header:    int(header),
		})
	})
}

// FuzzEncodings decodes what no encoding was made for.
func FuzzEncodings(f *testing.F) {
	for name, text := range map[string]string{"windows-1252": german, "macintosh": french, "windows-1250": czech,
		"koi8-r": russian, "shift_jis": japanese, "euc-kr": korean, "gb18030": chinese, "utf-16be": german} {
		f.Add(encoded(f, name, text))
	}
	f.Fuzz(func(t *testing.T, file []byte) { checkTable(t, file, intake.Options{}) })
}

func FuzzXLSX(f *testing.F) {
	f.Add(workbookOf(f, []any{"email", "x"}, []any{"a@b.c", 1}))
	f.Add(workbook(f, func(w *excelize.File) { rowsOf(f, w, "Sheet1", []any{"email"}, []any{true}) }, excelize.Options{Password: "x"}))
	f.Add(zipped(f, parts(sheetStart+sheetEnd)))
	f.Fuzz(func(t *testing.T, file []byte) { checkTable(t, file, intake.Options{}) })
}

// FuzzSheet changes the XML within an archive that is whole, where bits of a whole workbook seldom get.
func FuzzSheet(f *testing.F) {
	f.Add(sheetStart+`<row r="3"><c r="B3" s="1"><f>1+1</f><v>2</v></c><c t="s"><v>0</v></c></row>`+sheetEnd,
		`<sst><si><t>a_x000D_</t></si></sst>`,
		`<styleSheet><numFmts><numFmt numFmtId="164" formatCode="&quot;+&quot;0"/></numFmts>`+
			`<cellXfs><xf numFmtId="164"/><xf numFmtId="22"/></cellXfs></styleSheet>`)
	f.Fuzz(func(t *testing.T, sheet, shared, styles string) {
		p := parts(sheet)
		p["xl/sharedStrings.xml"], p["xl/styles.xml"] = shared, styles
		const rels = "xl/_rels/workbook.xml.rels"
		p[rels] = strings.Replace(p[rels], "</R", `<Relationship Id="rId3" Type="x/styles" Target="/xl/styles.xml"/></R`, 1)
		checkTable(t, zipped(t, p), intake.Options{})
	})
}

func FuzzColumns(f *testing.F) {
	f.Add("E-Mail Adresse (geschäftl.)", "Fimra", "a@b.c", "+49 30 123456")
	f.Fuzz(func(t *testing.T, a, b, x, y string) {
		header := []string{a, b}
		columns := intake.Columns(header, [][]string{{x, y}, {y}}, nil)
		m := intake.MappingOf(columns)
		for i, c := range columns {
			if a == b { // a table's header is unique
				break
			}
			if c.Name != header[i] || m.Field(c.Name) != c.Field || (c.Confidence > 0) != (c.How != "") || c.Confidence > 1 {
				t.Errorf("%+v, which Parse takes for %q", c, m.Field(c.Name))
			}
		}
	})
}

func FuzzSafe(f *testing.F) {
	f.Add("'=1")
	f.Fuzz(func(t *testing.T, cell string) {
		cell = strings.Map(func(r rune) rune {
			if r < ' ' && r != '\t' && r != '\n' || r == 0x7F {
				return -1 // a file of nothing else would be no text
			}
			return r
		}, strings.ToValidUTF8(cell, ""))
		safe := intake.Safe([]string{cell})[0]
		if safe != "" && strings.IndexByte("=+-@\t\r", safe[0]) >= 0 {
			t.Errorf("%q is written as %q", cell, safe)
		}
		table, err := open([]byte("email,x\na@b.c,"+quotedAll([]string{safe})[0]+"\n"), intake.Options{Delimiter: ",", Quote: `"`, Encoding: "utf-8"})
		if err != nil {
			t.Fatal(err)
		}
		if cells, err := table.Next(); err != nil || cells[1] != cell {
			t.Errorf("%q is written as %q and read as %q, %v", cell, safe, cells, err)
		}
	})
}
