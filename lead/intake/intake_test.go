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

func quotedAll(cells []string) []string {
	quoted := make([]string, len(cells))
	for i, c := range cells {
		quoted[i] = `"` + strings.ReplaceAll(c, `"`, `""`) + `"`
	}
	return quoted
}

func readAll(t *testing.T, r io.Reader) (header []string, all [][]string) {
	t.Helper()
	file, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	table, all := opened(t, file, intake.Options{})
	return table.Header(), all
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

func TestARowIsKeptInTheOrderOfTheHeader(t *testing.T) {
	got := string(intake.RowPayload([]string{"b", "a"}, []string{"1 \"<", " ", "x"}))
	if want := `{"b":"1 \"<","column_3":"x"}`; got != want {
		t.Errorf("RowPayload = %s, want %s", got, want)
	}
}

func TestTheOddFilesAreReadToTheExactRow(t *testing.T) {
	var expected struct {
		Files []struct {
			File, Encoding, Delimiter string
			LineEnd                   string `json:"line_end"`
			BOM                       bool
			Rows, Valid               int
			Header                    []string
			Spot                      []struct {
				Row   int
				Cells []string
			}
		}
	}
	decode(t, "leads/expected.json", &expected)
	for _, f := range expected.Files {
		file, err := io.ReadAll(shared(t, "leads/"+f.File))
		if err != nil {
			t.Fatal(err)
		}
		table, all := opened(t, file, intake.Options{})
		if diff := cmp.Diff(f.Header, table.Header()); diff != "" || len(all) != f.Rows {
			t.Errorf("%s: %d rows, want %d, header (-want +got):\n%s", f.File, len(all), f.Rows, diff)
		}
		ends := map[string]string{"\r\n": "CRLF", "\r": "CR", "\n": "LF"}[f.LineEnd]
		want := intake.Format{Kind: "csv", Encoding: f.Encoding, Delimiter: f.Delimiter, Quote: `"`, LineEnds: ends, BOM: f.BOM, HeaderLine: 1}
		if diff := cmp.Diff(want, table.Format()); diff != "" {
			t.Errorf("%s: format (-want +got):\n%s", f.File, diff)
		}
		for _, s := range f.Spot {
			if diff := cmp.Diff(s.Cells, all[s.Row-1]); diff != "" {
				t.Errorf("%s row %d (-want +got):\n%s", f.File, s.Row, diff)
			}
		}
	}
}

func TestTheSampleIsReadToTheExactLine(t *testing.T) {
	var expected struct {
		Rows        int
		Header      []string
		InvalidRows []struct {
			Row   int64
			Line  int
			Value string
		} `json:"invalid_rows"`
	}
	decode(t, "leads/sample-500.expected.json", &expected)
	file, err := io.ReadAll(shared(t, "leads/sample-500.csv"))
	if err != nil {
		t.Fatal(err)
	}
	table, all := opened(t, file, intake.Options{})
	if diff := cmp.Diff(expected.Header, table.Header()); diff != "" || len(all) != expected.Rows {
		t.Errorf("%d rows, want %d, header (-want +got):\n%s", len(all), expected.Rows, diff)
	}
	for _, invalid := range expected.InvalidRows {
		table, _ := open(file, intake.Options{})
		if err := table.Skip(invalid.Row - 1); err != nil {
			t.Fatal(err)
		}
		cells, err := table.Next()
		if err != nil || table.Line() != invalid.Line || cells[4] != invalid.Value {
			t.Errorf("row %d: line %d, %q, %v; want line %d, %q", invalid.Row, table.Line(), cells[4], err, invalid.Line, invalid.Value)
		}
	}
}

// spectrumExceptions are the files of csv-spectrum that do not equal their JSON as it stands, and what is done to it.
var spectrumExceptions = map[string]func(json string) string{
	"location_coordinates": func(json string) string { return "[" + json + "]" },                       // one object in place of a list
	"newlines_crlf":        func(json string) string { return strings.ReplaceAll(json, `\r\n`, `\n`) }, // line ends in cells become LF
}

func TestCSVSpectrum(t *testing.T) {
	files, _ := filepath.Glob("../../../shared/data/csv/csv-spectrum/csvs/*.csv")
	if len(files) == 0 {
		t.Skip("the shared test data is not here")
	}
	for _, path := range files {
		name := strings.TrimSuffix(filepath.Base(path), ".csv")
		text, err := io.ReadAll(shared(t, "csv/csv-spectrum/json/"+name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		header, all := readAll(t, shared(t, "csv/csv-spectrum/csvs/"+name+".csv"))
		got := []map[string]string{}
		for _, cells := range all {
			row := map[string]string{}
			for i, column := range header {
				row[column] = cells[i]
			}
			got = append(got, row)
		}
		meant := func(text string) (want []map[string]string, err error) {
			err = json.Unmarshal([]byte(text), &want)
			return want, err
		}
		want, err := meant(string(text))
		equal := err == nil && cmp.Equal(want, got)
		except, excepted := spectrumExceptions[name]
		if excepted {
			want, err = meant(except(string(text)))
		}
		if diff := cmp.Diff(want, got); diff != "" || err != nil || equal == excepted {
			t.Errorf("%s, %v, equal as it stands %v, an exception %v (-want +got):\n%s", name, err, equal, excepted, diff)
		}
	}
}
