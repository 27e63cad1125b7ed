package intake_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/encoding/htmlindex"

	"github.com/leadmill/leadmill/lead/intake"
)

// encoded is a text in an encoding that the WHATWG names.
func encoded(t testing.TB, name, text string) []byte {
	t.Helper()
	e, err := htmlindex.Get(name)
	if err != nil {
		t.Fatal(err)
	}
	b, err := e.NewEncoder().Bytes([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const (
	german   = "Name;E-Mail;Ort\nJürgen Müller;j@x.example;Köln\nAnna Größe;a@x.example;Düsseldorf\nBärbel Weiß;b@x.example;Würzburg\n"
	french   = "Nom;E-mail;Société\nLefèvre;f@x.example;Café Crème\nNoël Garçon;g@x.example;Hôtel\n"
	czech    = "Jméno;E-mail;Město\nJiří Dvořák;j@x.example;Plzeň\nŽaneta Růžičková;z@x.example;Děčín\n"
	polish   = "Imię;E-mail;Miasto\nŁukasz Wójcik;l@x.example;Łódź\nMałgorzata Żółć;m@x.example;Gdańsk\nŻaneta Dąbrowska;d@x.example;Świdnica\n"
	russian  = "Имя;E-mail;Город\nИван Петров;i@x.example;Москва\nОльга Смирнова;o@x.example;Казань\n"
	greek    = "Όνομα;E-mail;Πόλη\nΓιώργος;g@x.example;Αθήνα\nΜαρία;m@x.example;Θεσσαλονίκη\n"
	japanese = "氏名;E-mail;市\n見本太郎;t@x.example;東京都\n見本花子;h@x.example;大阪市\n"
	korean   = "이름;E-mail;도시\n김철수;k@x.example;서울\n이영희;l@x.example;부산\n"
	chinese  = "姓名;E-mail;城市\n王小明;w@x.example;北京\n李小红;l@x.example;上海\n"
)

func TestTheEncodingIsRecognised(t *testing.T) {
	for name, text := range map[string]string{
		"utf-8": german, "utf-16le": german, "utf-16be": french, "windows-1252": german, "windows-1252 ": french, "macintosh": german, "macintosh ": french,
		"windows-1250": czech, "windows-1250 ": polish, "windows-1251": russian, "koi8-r": russian, "windows-1253": greek,
		"shift_jis": japanese, "euc-jp": japanese, "euc-kr": korean, "gb18030": chinese,
	} {
		name = strings.TrimSpace(name)
		table, all := opened(t, encoded(t, name, text), intake.Options{})
		if f := table.Format(); f.Encoding != name || f.BOM {
			t.Errorf("%s is taken for %s, BOM %v", name, f.Encoding, f.BOM)
		}
		if want := strings.Split(strings.Split(text, "\n")[1], ";"); !slices.Equal(all[0], want) {
			t.Errorf("%s: row %q, want %q", name, all[0], want)
		}
	}
}

func TestAMarkAndAnOrderOverruleWhatIsRecognised(t *testing.T) {
	table, _ := opened(t, append([]byte("\xEF\xBB\xBF"), german...), intake.Options{})
	if f := table.Format(); f.Encoding != "utf-8" || !f.BOM || table.Header()[0] != "Name" {
		t.Errorf("format %+v, header %q", f, table.Header())
	}
	_, all := opened(t, []byte("email,x\na@b.c,\xA4\n"), intake.Options{Encoding: "ISO-8859-15"})
	if all[0][1] != "€" {
		t.Errorf("row %q, want € by the encoding that was ordered", all[0])
	}
	_, all = opened(t, []byte("\xFF\xFEe\x00m\x00a\x00i\x00l\x00\n\x00a\x00"), intake.Options{Encoding: "utf-16le"})
	if fmt.Sprint(all) != "[[a]]" {
		t.Errorf("rows %q, want the mark to be no text", all)
	}
}

func TestTheFirstUmlautFarFromTheStartTellsTheEncoding(t *testing.T) {
	plain := "email,name\n" + strings.Repeat("ada@example.com,Ada Lovelace\n", 10_000)
	table, all := opened(t, []byte(plain+"j@example.com,J\xFCrgen M\xFCller\n"), intake.Options{})
	if f := table.Format(); f.Encoding != "windows-1252" || all[10_000][1] != "Jürgen Müller" {
		t.Errorf("%s: %q", f.Encoding, all[10_000])
	}
}

func TestABrokenByteIsReadAsDamageOfItsRowAlone(t *testing.T) {
	fine := strings.Repeat("ada@example.com,Jürgen\n", 10_000)
	table, all := opened(t, []byte("email,name\n"+fine+"b@example.com,J\xFCrgen\n"+fine), intake.Options{})
	if table.Format().Encoding != "utf-8" || len(all) != 20_001 || all[10_000][1] != "J\uFFFDrgen" || all[20_000][1] != "Jürgen" {
		t.Errorf("%d rows, encoding %s, row %q", len(all), table.Format().Encoding, all[10_000])
	}
	table, _ = opened(t, []byte("email,name\n"+strings.Repeat("a@b.example,Jürgen\n", 20)+"b@example.com,J\xFCrgen\n"), intake.Options{})
	if f := table.Format(); f.Encoding != "utf-8" || len(f.Notes) != 1 {
		t.Errorf("format %+v, want UTF-8 and a note", f)
	}
}

func TestDialectsAreRecognised(t *testing.T) {
	for name, c := range map[string]struct {
		file, header, rows string
		want               intake.Format
	}{
		"a decimal comma": {"Name;Preis;E-Mail\na;1,5;a@b.c\nb;2,5;b@b.c\n", "[Name Preis E-Mail]", "[[a 1,5 a@b.c] [b 2,5 b@b.c]]",
			intake.Format{Delimiter: ";", HeaderLine: 1}},
		"addresses with commas": {"Who;Where\nx;a, b, c\ny;d, e, f\n", "[Who Where]", "[[x a, b, c] [y d, e, f]]",
			intake.Format{Delimiter: ";", HeaderLine: 1}},
		"apostrophes": {"'Name','E-Mail'\n'a, b','it''s@b.c'\n", "[Name E-Mail]", "[[a, b it's@b.c]]",
			intake.Format{Quote: "'", HeaderLine: 1}},
		"no quotes": {"id\temail\n1\t\"a@b.c\n2\tb@b.c\n3\tc@b.c\n4\td@b.c\n", "[id email]", `[[1 "a@b.c] [2 b@b.c] [3 c@b.c] [4 d@b.c]]`,
			intake.Format{Delimiter: "\t", Quote: "none", HeaderLine: 1}},
		"Excel's first line": {"sep=;\r\nemail;a,b,c\r\nx@b.c;1\r\n", "[email a,b,c]", "[[x@b.c 1]]",
			intake.Format{Delimiter: ";", LineEnds: "CRLF", HeaderLine: 2, Preamble: 1}},
		"a title above": {"Report of March\n\nEmail,Name,City\na@b.c,A,B\n", "[Email Name City]", "[[a@b.c A B]]",
			intake.Format{HeaderLine: 3, Preamble: 2}},
		"titles of two cells": {"Created,2026-03-01\nBy,Ada\n\nShoe,Hat,Coat\n1,2,3\n4,5,6\n7,8,9\n", "[Shoe Hat Coat]", "[[1 2 3] [4 5 6] [7 8 9]]",
			intake.Format{HeaderLine: 4, Preamble: 3}},
		"mixed line ends": {"email,x\ra@b.c,1\nb@b.c,2\r\nc@b.c,3\r\r\nd@b.c,4", "[email x]", "[[a@b.c 1] [b@b.c 2] [c@b.c 3] [d@b.c 4]]",
			intake.Format{LineEnds: "mixed", HeaderLine: 1}},
		"CR only": {"email,x\ra@b.c,\"1\r2\"\r", "[email x]", "[[a@b.c 1\n2]]",
			intake.Format{LineEnds: "CR", HeaderLine: 1}},
		"a delimiter at the end": {"email,x,\na@b.c,1,\nb@b.c,2,3\n", "[email x]", "[[a@b.c 1] [b@b.c 2 3]]",
			intake.Format{HeaderLine: 1}},
		"no header": {"Ada,a@b.example\nBob,b@b.example\n", "[column_1 column_2]", "[[Ada a@b.example] [Bob b@b.example]]",
			intake.Format{Notes: []string{"No row names the columns: they are called column_1 and so on."}}},
		"a header alone": {"email,name\n", "[email name]", "[]", intake.Format{HeaderLine: 1}},
		"one column":     {"email\na@b.c\nb@b.c", "[email]", "[[a@b.c] [b@b.c]]", intake.Format{HeaderLine: 1}},
		"NULs":           {"email,x\na\x00@b.c,1\x00\n\x00\n", "[email x]", "[[a@b.c 1]]", intake.Format{HeaderLine: 1}},
		"blanks, quotes": {"email, x\na@b.c, \"1, 2\" \n", "[email x]", "[[a@b.c 1, 2]]", intake.Format{HeaderLine: 1}},
		"quotes inside": {"email,x\na@b.c,5\" pipe\nb@b.c,\"say \"a, b\" now\"\nc@b.c,\"Foo\" bar\n", "[email x]",
			"[[a@b.c 5\" pipe] [b@b.c say \"a, b\" now] [c@b.c Foo bar]]", intake.Format{HeaderLine: 1}},
		"repeated, empty": {"Phone,,Phone,email\n1,2,3,a@b.c\n", "[Phone column_2 Phone 2 email]", "[[1 2 3 a@b.c]]", intake.Format{HeaderLine: 1, Notes: []string{
			"Column 2 has no name: it is called column_2.", "Several columns are called Phone: the one at place 3 is Phone 2."}}},
	} {
		want := c.want
		want.Kind, want.Encoding = "csv", "utf-8"
		for field, usual := range map[*string]string{&want.Delimiter: ",", &want.Quote: `"`, &want.LineEnds: "LF"} {
			if *field == "" {
				*field = usual
			}
		}
		table, all := opened(t, []byte(c.file), intake.Options{})
		if got := fmt.Sprint(table.Header(), all); got != c.header+" "+c.rows {
			t.Errorf("%s: %s, want %s %s", name, got, c.header, c.rows)
		}
		if diff := cmp.Diff(want, table.Format()); diff != "" {
			t.Errorf("%s: format (-want +got):\n%s", name, diff)
		}
	}
}

func TestOptionsOverruleWhatIsRecognised(t *testing.T) {
	file := "Email;Name\n'a;b';c,d\nEmail,x\n"
	for o, want := range map[intake.Options]string{
		{}:                            "[Email Name] [['a b' c,d] [Email,x ]]",
		{Quote: "'"}:                  "[Email Name] [[a;b c,d] [Email,x ]]",
		{Delimiter: ","}:              "[Email x] []",
		{Delimiter: ",", Header: 1}:   "[Email;Name] [['a;b';c d] [Email x]]",
		{Header: 2}:                   "['a b' c,d] [[Email,x  ]]",
		{Header: 3}:                   "[Email,x] []",
		{Header: -1}:                  "[column_1 column_2 column_3] [[Email Name ] ['a b' c,d] [Email,x  ]]",
		{Header: -1, Delimiter: "|"}:  "[column_1] [[Email;Name] ['a;b';c,d] [Email,x]]",
		{Header: -1, Delimiter: "\t"}: "[column_1] [[Email;Name] ['a;b';c,d] [Email,x]]",
	} {
		table, all := opened(t, []byte(file), o)
		if got := fmt.Sprint(table.Header(), all); got != want {
			t.Errorf("%+v: %s, want %s", o, got, want)
		}
	}
}

func TestRowsThatAreSkippedAreThoseThatWouldBeRead(t *testing.T) {
	file := []byte("Report\n\nemail,x\na@b.c,1\n\n , \nb@b.c,\"2\n3\"\n\x00\nc@b.c,4\nd@b.c,5,6\n")
	book := workbookOf(t, []any{"email", "x"}, []any{"a", 1}, nil, []any{" "}, []any{"b", 2}, []any{"c", 3}, []any{"d", 4})
	for _, f := range [][]byte{file, book} {
		_, all := opened(t, f, intake.Options{})
		for n := range len(all) {
			table, err := open(f, intake.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if err := table.Skip(int64(n)); err != nil {
				t.Fatal(err)
			}
			cells, err := table.Next()
			if err != nil || !slices.Equal(cells, all[n]) || table.Row() != int64(n)+1 {
				t.Errorf("behind %d rows: row %d %q, %v; want %q", n, table.Row(), cells, err, all[n])
			}
			if err := table.Skip(int64(len(all))); err != io.EOF {
				t.Errorf("skipping more than there are: %v, want EOF", err)
			}
		}
	}
}

// failing ends a file with an error of its own.
type failing struct{ io.ReaderAt }

var errAway = errors.New("the disk is away")

func (f failing) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.ReaderAt.ReadAt(p, off)
	if err == io.EOF {
		err = errAway
	}
	return n, err
}

func TestAnErrorOfTheReaderIsNotOneOfTheFile(t *testing.T) {
	csv := "email\n" + strings.Repeat("a@b.c\n", 100_000)
	for _, file := range []string{csv, string(workbookOf(t, []any{"email"}, []any{"a"}))} {
		err := drained(failing{strings.NewReader(file[:len(file)-3])}, int64(len(file)), intake.Options{})
		if !errors.Is(err, errAway) || errors.Is(err, intake.ErrFile) {
			t.Errorf("%v, want the reader's", err)
		}
	}
}

func TestAPayloadIsWrittenAsEncodingJSONWouldWriteIt(t *testing.T) {
	var all strings.Builder
	for r := range rune(0x3000) {
		all.WriteRune(r)
	}
	for _, s := range []string{all.String(), "\u2028\u2029\u202A\xE2\x80", "<&>", "a\xFFb", "🚀", `\"`} {
		got := intake.RowPayload([]string{"a" + s}, []string{"b" + s, "c"})
		var b strings.Builder
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		valid := strings.ToValidUTF8(s, "\uFFFD")
		for i, part := range []any{"a" + valid, "b" + valid} {
			b.WriteString([]string{"", ":"}[i])
			if err := e.Encode(part); err != nil {
				t.Fatal(err)
			}
		}
		want := "{" + strings.ReplaceAll(b.String(), "\n", "") + `,"column_2":"c"}`
		if string(got) != want {
			t.Errorf("payload of %.20q = %.200s, want %.200s", s, got, want)
		}
	}
}

func BenchmarkCSV(b *testing.B) {
	file := "First Name,Last Name,Email,Phone,Company,Title,City,Country,Lead Source,Description\n" +
		strings.Repeat("Ada,Lovelace,ada.lovelace@example.com,+44 20 7946 0123,\"Example, Widgets Ltd\",Countess,London,GB,Fair,\"likes \"\"engines\"\"\"\n", 10_000)
	for name, do := range map[string]func(t *intake.Table){
		"rows":     func(t *intake.Table) { _, _ = t.Next() },
		"skipped":  func(t *intake.Table) { _ = t.Skip(1) },
		"payloads": func(t *intake.Table) { cells, _ := t.Next(); intake.RowPayload(t.Header(), cells) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(file) / 10_000))
			var table *intake.Table
			for i := range b.N {
				if i%10_000 == 0 {
					table, _ = open([]byte(file), intake.Options{})
				}
				do(table)
			}
		})
	}
}
