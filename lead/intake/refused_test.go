package intake_test

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/xuri/excelize/v2"

	"github.com/leadmill/leadmill/lead/intake"
)

func TestWhatIsNoTableIsNamed(t *testing.T) {
	email := func(f *excelize.File) { rowsOf(t, f, "Sheet1", []any{"email"}, []any{"a@b.c"}) }
	for want, file := range map[string]string{
		"it is a PDF":                         "%PDF-1.7\n",
		"packed with gzip":                    "\x1F\x8B\x08\x00",
		"an image":                            "\x89PNG\r\n\x1a\n",
		"a web page":                          "\n <!DOCTYPE HTML><table><tr><td>email",
		"it is XML":                           "\xEF\xBB\xBF<?xml version=\"1.0\"?><Workbook>",
		"it is JSON":                          "[\n  {\n    \"email\": \"a@b.c\"}]",
		"leads in JSON":                       `{"email":"a@b.c"}` + "\n",
		"visiting cards":                      "BEGIN:VCARD\r\nVERSION:3.0\r\n",
		"the old Excel format":                "\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1" + strings.Repeat("\x00", 2000),
		"protected by a password":             string(workbook(t, email, excelize.Options{Password: "secret"})),
		"OpenDocument":                        string(zipped(t, map[string]string{"mimetype": "x", "content.xml": "<a/>"})),
		"binary workbook":                     string(zipped(t, map[string]string{"xl/workbook.bin": "x"})),
		"a text document":                     string(zipped(t, map[string]string{"word/document.xml": "<a/>"})),
		"a zip archive":                       string(zipped(t, map[string]string{"leads.csv": "email\na@b.c\n"})),
		"an empty archive":                    string(zipped(t, nil)),
		"not text":                            strings.Repeat("\x01\x02\xff", 500),
		"it is empty":                         " \n",
		"no sheet of the workbook holds rows": string(workbook(t, func(*excelize.File) {})),
		"workbook is damaged":                 string(workbook(t, email)[:3000]),
	} {
		_, err := open([]byte(file), intake.Options{})
		if !errors.Is(err, intake.ErrFile) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want ErrFile that says %q", err, want)
		}
	}
}

func TestOptionsThatAreNoneAreRefused(t *testing.T) {
	for _, o := range []intake.Options{{Encoding: "klingon"}, {Encoding: "hz-gb-2312"}, {Delimiter: "::"}, {Delimiter: "x"}, {Quote: "`"}, {Header: -2}, {Header: 9}} {
		if _, err := open([]byte("email\na@b.c\n"), o); !errors.Is(err, intake.ErrFile) {
			t.Errorf("%+v: %v, want ErrFile", o, err)
		}
	}
}

// endless gives a start, then one piece again and again, and fails when more is read than anybody needs.
type endless struct {
	start, piece string
	size         int64
	read         int64
}

func (e *endless) ReadAt(p []byte, off int64) (int, error) {
	if e.read += int64(len(p)); e.read > 64<<20 {
		return 0, errors.New("still reading after 64 MB")
	}
	for i := range p {
		at := off + int64(i)
		switch {
		case at >= e.size:
			return i, io.EOF
		case at < int64(len(e.start)):
			p[i] = e.start[at]
		default:
			p[i] = e.piece[(at-int64(len(e.start)))%int64(len(e.piece))]
		}
	}
	return len(p), nil
}

// inMemory fails if do leaves or needs much more memory than a row.
func inMemory(t *testing.T, name string, most uint64, do func() error) error {
	t.Helper()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	err := do()
	runtime.ReadMemStats(&after)
	if grown := after.Sys - before.Sys; grown > most {
		t.Errorf("%s: %d MB more from the system, want at most %d", name, grown>>20, most>>20)
	}
	return err
}

func drained(f io.ReaderAt, size int64, o intake.Options) error {
	table, err := intake.Open(f, size, o)
	for err == nil {
		_, err = table.Next()
	}
	return err
}

func TestBombsOfTextAreRefusedWithinTheMemoryOfARow(t *testing.T) {
	for name, f := range map[string]*endless{
		"a line of a gigabyte":      {start: "email,x\n", piece: "x"},
		"only a line of a gigabyte": {piece: "x"},
		"a quote that never closes": {start: "email,x\n\"", piece: "x\n"},
		"a million columns":         {start: "email,x\n", piece: "x,"},
		"a million column names":    {piece: "x,"},
		"quotes in one line":        {start: "email,x\n", piece: `"a`},
		"quotes in the middle":      {start: "email,x\n", piece: `"a"b,`},
		"quotes and blanks":         {start: "email,x\n", piece: `"a"  `},
		"doubled quotes":            {start: "email,x\n", piece: `"`},
		"utf-16 without an end":     {start: "\xFF\xFE", piece: "x\x00"},
	} {
		f.size = 1 << 30
		err := inMemory(t, name, 64<<20, func() error { return drained(f, f.size, intake.Options{}) })
		if !errors.Is(err, intake.ErrFile) {
			t.Errorf("%s: %v, want ErrFile", name, err)
		}
	}
}

// parts are those of the smallest workbook, with a sheet of the given XML.
func parts(sheet string) map[string]string {
	return map[string]string{
		"[Content_Types].xml": `<Types/>`,
		"xl/workbook.xml":     `<workbook><sheets><sheet name="S" sheetId="1" r:id="rId1"/></sheets></workbook>`,
		"xl/_rels/workbook.xml.rels": `<Relationships><Relationship Id="rId1" Type="x/worksheet" Target="worksheets/sheet1.xml"/>` +
			`<Relationship Id="rId2" Type="x/sharedStrings" Target="sharedStrings.xml"/></Relationships>`,
		"xl/worksheets/sheet1.xml": sheet,
	}
}

const (
	sheetStart = `<worksheet><sheetData><row r="1"><c r="A1" t="inlineStr"><is><t>email</t></is></c></row>`
	sheetEnd   = `</sheetData></worksheet>`
)

func TestTheSmallestWorkbookIsRead(t *testing.T) {
	p := parts(sheetStart + `<row><c><v>7</v></c><c t="s"><v>0</v></c></row>` + sheetEnd)
	p["xl/sharedStrings.xml"] = `<sst><si><r><t>a</t></r><rPh><t>no</t></rPh><r><t xml:space="preserve"> _x0041_&lt;</t></r></si></sst>`
	if _, all := opened(t, zipped(t, p), intake.Options{}); fmt.Sprint(all) != "[[7 a A<]]" {
		t.Errorf("rows = %v", all)
	}
}

func TestBombsInWorkbooksAreRefusedWithinBounds(t *testing.T) {
	shared := func(xml string) map[string]string {
		p := parts(sheetStart + sheetEnd)
		p["xl/sharedStrings.xml"] = xml
		return p
	}
	sheets := func(n int) map[string]string {
		p := parts(sheetStart + sheetEnd)
		p["xl/workbook.xml"] = `<workbook><sheets>` + strings.Repeat(`<sheet name="S" id="rId1"/>`, n) + `</sheets></workbook>`
		return p
	}
	row := func(cells string) map[string]string { return parts(sheetStart + "<row>" + cells + "</row>" + sheetEnd) }
	for name, p := range map[string]map[string]string{
		"a part of nothing but zeros": parts(sheetStart + strings.Repeat("<row><c><v>0</v></c></row>", 1<<20) + sheetEnd),
		"a million sheets":            sheets(1 << 20),
		"a thousand and one sheets":   sheets(1001),
		"deep nesting":                row(strings.Repeat("<a>", 1<<16)),
		"an endless tag":              row("<" + strings.Repeat("a", 4<<20)),
		"endless attributes":          row("<c " + strings.Repeat(`a="1" `, 1<<20)),
		"an endless value":            row("<c><v>" + strings.Repeat("123 ", 1<<20) + "</v></c>"),
		"a value in pieces":           row("<c><v>" + strings.Repeat("12<!---->", 1<<20) + "</v></c>"),
		"an endless text":             row("<c t='inlineStr'><is>" + strings.Repeat("<t>0123456789abcdef</t>", 1<<18) + "</is></c>"),
		"a row of a million cells":    row(strings.Repeat("<c><v>1</v></c>", 1<<18)),
		"a far column":                row(`<c r="XFD2"><v>1</v></c>`),
		"entities":                    parts(`<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;&b;">]>` + sheetStart + sheetEnd),
		"an entity":                   row("<c><v>&b;</v></c>"),
		"shared texts":                shared("<sst>" + strings.Repeat("<si><t>"+strings.Repeat("0123456789abcdef", 60000)+"</t></si>", 80) + "</sst>"),
		"empty shared texts":          shared("<sst>" + strings.Repeat("<si/>", 3<<20) + "</sst>"),
		"a text that is not shared":   row("<c t='s'><v>3</v></c>"),
		"a sheet that is cut off":     parts(sheetStart + "<row><c>"),
		"one cut off between rows":    parts(sheetStart + "<row><c><v>1</v></c></row>"),
	} {
		file := zipped(t, p)
		err := inMemory(t, name, 256<<20, func() error { return drained(bytes.NewReader(file), int64(len(file)), intake.Options{}) })
		if !errors.Is(err, intake.ErrFile) {
			t.Errorf("%s: %v, want ErrFile", name, err)
		}
	}
}

func TestLongRowsOfASheetAreLookedAtOneByOne(t *testing.T) {
	random, long := rand.New(rand.NewPCG(1, 2)), make([]byte, 900_000)
	for i := range long {
		long[i] = 'a' + byte(random.IntN(26))
	}
	row := `<row><c t="inlineStr"><is><t>` + string(long) + `</t></is></c></row>`
	file := zipped(t, parts(sheetStart+strings.Repeat(row, 36)+sheetEnd))
	err := inMemory(t, "long rows", 24<<20, func() error {
		return drained(bytes.NewReader(file), int64(len(file)), intake.Options{})
	})
	if err != io.EOF {
		t.Errorf("%v, want EOF", err)
	}
}

func TestAnArchiveWithoutEndOrWithAWrongLengthIsRefused(t *testing.T) {
	var many bytes.Buffer
	w := zip.NewWriter(&many)
	for i := range 100_000 {
		if _, err := w.CreateRaw(&zip.FileHeader{Name: fmt.Sprintf("xl/worksheets/sheet%d.xml", i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	var lying bytes.Buffer
	w = zip.NewWriter(&lying)
	for name, text := range parts(sheetStart + strings.Repeat("<row><c><v>0</v></c></row>", 1<<20) + sheetEnd) {
		var packed bytes.Buffer
		f, _ := flate.NewWriter(&packed, flate.BestSpeed)
		_, _ = io.WriteString(f, text)
		f.Close()
		p, err := w.CreateRaw(&zip.FileHeader{Name: name, Method: zip.Deflate, CRC32: crc32.ChecksumIEEE([]byte(text)),
			CompressedSize64: uint64(packed.Len()), UncompressedSize64: uint64(min(len(text), 4000))})
		if err != nil {
			t.Fatal(err)
		}
		_, _ = p.Write(packed.Bytes())
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for want, file := range map[string][]byte{"far too many files": many.Bytes(), "damaged": lying.Bytes()} {
		err := inMemory(t, want, 64<<20, func() error { return drained(bytes.NewReader(file), int64(len(file)), intake.Options{}) })
		if !errors.Is(err, intake.ErrFile) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want ErrFile that says %q", err, want)
		}
	}
}
