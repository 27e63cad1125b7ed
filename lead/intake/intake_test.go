package intake_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/leadmill/leadmill/lead"
	"github.com/leadmill/leadmill/lead/intake"
)

// shared opens a file of the shared test data, or skips.
func shared(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := os.Open(filepath.Join("../../../shared/data", path))
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("the shared test data is not here")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func decode(t *testing.T, path string, v any) {
	t.Helper()
	if err := json.NewDecoder(shared(t, path)).Decode(v); err != nil {
		t.Fatal(err)
	}
}

func TestAnObjectBecomesFields(t *testing.T) {
	for payload, want := range map[string]lead.Submission{
		`{"email":"a@b.c","E-Mail":"other","shoe":38.50}`: {
			Fields: map[string]string{"email": "a@b.c"}, Extra: map[string]any{"E-Mail": "other", "shoe": json.Number("38.50")}},
		`{"E-Mail 1 - Value":"x","Vorname":"Ada","PLZ":10115,"Opt-In":true}`: {
			Fields: map[string]string{"email": "x", "first_name": "Ada", "postal_code": "10115", "consent": "yes"}, Extra: map[string]any{}},
		`{"Mobile Phone":"1","Phone":" ","phone":"2"}`: {
			Fields: map[string]string{"phone": "2"}, Extra: map[string]any{"Mobile Phone": "1"}},
		`{"id":12345678901234567890,"n":"a\u0000b"}`: {
			Fields: map[string]string{}, Extra: map[string]any{"id": json.Number("12345678901234567890"), "n": "ab"}},
		`{"email":null}`: {Fields: map[string]string{}, Extra: map[string]any{}},
	} {
		got, reasons := intake.Parse([]byte(payload), nil)
		if diff := cmp.Diff(want, got); diff != "" || len(reasons) != 0 {
			t.Errorf("Parse(%s) with reasons %v (-want +got):\n%s", payload, reasons, diff)
		}
	}
}

func TestANumberThatNoDatabaseHoldsIsKeptAsText(t *testing.T) {
	long := "1" + strings.Repeat("0", 400)
	for number, want := range map[string]any{
		"12345678901234567890": json.Number("12345678901234567890"), "1.5e300": json.Number("1.5e300"), "-1E-300": json.Number("-1E-300"),
		"1e999999": "1e999999", "1E-999999": "1E-999999", "1e99999999999999999999": "1e99999999999999999999", long: long,
	} {
		got, reasons := intake.Parse([]byte(`{"n":[`+number+`]}`), nil)
		if diff := cmp.Diff(map[string]any{"n": []any{want}}, got.Extra); diff != "" || len(reasons) != 0 {
			t.Errorf("%s with reasons %v (-want +got):\n%s", number, reasons, diff)
		}
	}
}

func TestAMappingOverrulesTheNames(t *testing.T) {
	payload := []byte(`{"email":"old@b.c","Kontaktfeld":"a@b.c","Firma":"ACME","Ort":"Ulm"}`)
	got, reasons := intake.Parse(payload, intake.Mapping{"Kontaktfeld": "email", "Firma": intake.Ignored})
	want := lead.Submission{
		Fields: map[string]string{"email": "a@b.c", "city": "Ulm"},
		Extra:  map[string]any{"email": "old@b.c", "Firma": "ACME"},
	}
	if diff := cmp.Diff(want, got); diff != "" || len(reasons) != 0 {
		t.Errorf("reasons %v (-want +got):\n%s", reasons, diff)
	}
}

func TestAWrongTypeIsNamedAndKept(t *testing.T) {
	got, reasons := intake.Parse([]byte(`{"email":5,"name":{"first":"x"},"phone":44}`), nil)
	want := []lead.Reason{
		{Field: "email", Code: "mistyped", Message: "The field must be a text."},
		{Field: "name", Code: "mistyped", Message: "The field must be a text."},
	}
	if diff := cmp.Diff(want, reasons); diff != "" {
		t.Errorf("reasons (-want +got):\n%s", diff)
	}
	if got.Extra["email"] != json.Number("5") || got.Fields["phone"] != "44" {
		t.Errorf("submission = %+v, want the e-mail kept in extra and the number taken as a phone", got)
	}
}

func TestWhatIsNoObjectIsMalformed(t *testing.T) {
	for _, payload := range []string{``, `[]`, `"x"`, `{`, `{"a":1} {}`, `{"a":}`, strings.Repeat(`{"a":`, 40) + `1` + strings.Repeat(`}`, 40)} {
		if _, reasons := intake.Parse([]byte(payload), nil); len(reasons) != 1 || reasons[0].Code != "malformed" {
			t.Errorf("Parse(%.20q) gave reasons %v, want malformed", payload, reasons)
		}
	}
}

func TestHeadersOfKnownExportsAreMapped(t *testing.T) {
	var exports []struct {
		System, Delimiter string
		Preamble, Header  []string
		Maps              map[string]string
	}
	decode(t, "contacts/headers.json", &exports)
	for _, e := range exports {
		file := strings.Join(append(e.Preamble, ""), "\n") + strings.Join(quotedAll(e.Header), e.Delimiter) + "\n" +
			strings.Join(quotedAll(e.Header), e.Delimiter) + "\n"
		rows, err := intake.OpenCSV(strings.NewReader(file))
		if err != nil {
			t.Errorf("%s: %v", e.System, err)
			continue
		}
		cells, err := rows.Next()
		if err != nil {
			t.Errorf("%s: %v", e.System, err)
			continue
		}
		got, _ := intake.Parse(intake.RowPayload(rows.Header(), cells), nil)
		for field, column := range e.Maps {
			if got.Fields[field] != column {
				t.Errorf("%s: %s is read from %q, want %q", e.System, field, got.Fields[field], column)
			}
		}
	}
}

func quotedAll(cells []string) []string {
	quoted := make([]string, len(cells))
	for i, c := range cells {
		quoted[i] = `"` + strings.ReplaceAll(c, `"`, `""`) + `"`
	}
	return quoted
}

func readAll(t *testing.T, r io.Reader) (header []string, all [][]string) {
	t.Helper()
	rows, err := intake.OpenCSV(r)
	if err != nil {
		t.Fatal(err)
	}
	for {
		cells, err := rows.Next()
		if err == io.EOF {
			return rows.Header(), all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, cells)
	}
}

func TestTablesAreReadHoweverTheyWereSaved(t *testing.T) {
	for name, file := range map[string]string{
		"plain":            "a,b\n1,2\n3,4\n",
		"bom":              "\xEF\xBB\xBFa,b\r\n1,2\r\n3,4",
		"semicolon":        "a;b\n1;2\n3;4\n",
		"tab":              "a\tb\n1\t2\n3\t4\n",
		"pipe":             "a|b\n1|2\n3|4\n",
		"CR only":          "a,b\r1,2\r3,4\r",
		"blank rows":       "a,b\n\n1,2\n,\n3,4\n\n",
		"utf-16le":         "\xFF\xFEa\x00,\x00b\x00\n\x001\x00,\x002\x00\n\x003\x00,\x004\x00",
		"utf-16be, no bom": "\x00a\x00,\x00b\x00\n\x001\x00,\x002\x00\n\x003\x00,\x004",
	} {
		header, all := readAll(t, strings.NewReader(file))
		if got, want := fmt.Sprint(header, all), "[a b] [[1 2] [3 4]]"; got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	header, all := readAll(t, strings.NewReader("caf\xe9,,b,b\n\x80,2\n1,2,3,4,5\n"))
	if got, want := fmt.Sprint(header, all), "[café column_2 b b 2] [[€ 2  ] [1 2 3 4 5]]"; got != want {
		t.Errorf("windows-1252 and ragged: %s, want %s", got, want)
	}
}

func TestAFileThatIsNoTableIsRefused(t *testing.T) {
	for name, file := range map[string]string{
		"empty":        "",
		"blank":        "\n \n",
		"endless line": "a,b\n" + strings.Repeat("x", 2<<20),
		"open quote":   "a,b\n\"" + strings.Repeat("x\n", 1<<20),
		"columns":      strings.Repeat("a,", 2000) + "\n",
	} {
		rows, err := intake.OpenCSV(strings.NewReader(file))
		for err == nil {
			_, err = rows.Next()
		}
		if !errors.Is(err, intake.ErrFile) {
			t.Errorf("%s: %v, want ErrFile", name, err)
		}
	}
}

func TestARowIsKeptInTheOrderOfTheHeader(t *testing.T) {
	got := string(intake.RowPayload([]string{"b", "a"}, []string{"1 \"<", " ", "x"}))
	if want := `{"b":"1 \"<","column_3":"x"}`; got != want {
		t.Errorf("RowPayload = %s, want %s", got, want)
	}
}

func TestTheOddFilesAreReadToTheExactRow(t *testing.T) {
	var expected struct {
		Files []struct {
			File   string
			Rows   int
			Header []string
			Spot   []struct {
				Row   int
				Cells []string
			}
		}
	}
	decode(t, "leads/expected.json", &expected)
	for _, f := range expected.Files {
		header, all := readAll(t, shared(t, "leads/"+f.File))
		if diff := cmp.Diff(f.Header, header); diff != "" || len(all) != f.Rows {
			t.Errorf("%s: %d rows, want %d, header (-want +got):\n%s", f.File, len(all), f.Rows, diff)
		}
		for _, s := range f.Spot {
			if diff := cmp.Diff(s.Cells, all[s.Row-1]); diff != "" {
				t.Errorf("%s row %d (-want +got):\n%s", f.File, s.Row, diff)
			}
		}
	}
}

func TestCSVSpectrum(t *testing.T) {
	files, _ := filepath.Glob("../../../shared/data/csv/csv-spectrum/csvs/*.csv")
	if len(files) == 0 {
		t.Skip("the shared test data is not here")
	}
	for _, path := range files {
		name := strings.TrimSuffix(filepath.Base(path), ".csv")
		if name == "location_coordinates" { // its JSON is one object, not a list
			continue
		}
		var want []map[string]string
		decode(t, "csv/csv-spectrum/json/"+name+".json", &want)
		header, all := readAll(t, shared(t, "csv/csv-spectrum/csvs/"+name+".csv"))
		if len(all) != len(want) {
			t.Errorf("%s: %d rows, want %d", name, len(all), len(want))
			continue
		}
		for i, cells := range all {
			for j, column := range header {
				w := want[i][column]
				if name == "newlines_crlf" { // encoding/csv reads CRLF in a cell as LF
					w = strings.ReplaceAll(w, "\r\n", "\n")
				}
				if cells[j] != w {
					t.Errorf("%s row %d, %s = %q, want %q", name, i+1, column, cells[j], w)
				}
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"email":"a@b.c","x":[1,{"y":null}]}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		s, _ := intake.Parse(payload, nil)
		if s.Fields == nil || s.Extra == nil {
			t.Errorf("Parse(%q) = %+v, want maps", payload, s)
		}
		if b, err := json.Marshal(s.Extra); err != nil || strings.Contains(string(b), `\u0000`) {
			t.Errorf("extra of %q = %s, %v; want it storable", payload, b, err)
		}
	})
}

func FuzzCSV(f *testing.F) {
	f.Add([]byte("a,b\n1,\"2\n3\"\n"))
	f.Add([]byte("\xFF\xFEa\x00"))
	f.Fuzz(func(t *testing.T, file []byte) {
		rows, err := intake.OpenCSV(strings.NewReader(string(file)))
		for err == nil {
			var cells []string
			if cells, err = rows.Next(); err == nil {
				if payload := intake.RowPayload(rows.Header(), cells); !json.Valid(payload) {
					t.Fatalf("payload of %q = %s, want JSON", file, payload)
				}
			}
		}
	})
}
