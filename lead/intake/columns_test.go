package intake_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/leadmill/leadmill/lead/intake"
)

// fieldsOf is what the columns are taken for, without those that are taken for none.
func fieldsOf(columns []intake.Column) map[string]string {
	of := map[string]string{}
	for _, c := range columns {
		if c.Field != "" {
			of[c.Name] = c.Field + " " + c.How
		}
	}
	return of
}

func TestEveryHeaderOfAKnownExportIsMapped(t *testing.T) {
	var exports []struct {
		System, Delimiter string
		Preamble, Header  []string
		Maps              map[string]string
	}
	decode(t, "contacts/headers.json", &exports)
	random := rand.New(rand.NewPCG(1, 2))
	for _, e := range exports {
		for range 5 {
			file := strings.Join(append(e.Preamble, ""), "\n") + strings.Join(quotedAll(e.Header), e.Delimiter) + "\n" +
				strings.Join(quotedAll(e.Header), e.Delimiter) + "\n"
			table, rows := opened(t, []byte(file), intake.Options{})
			columns := intake.Columns(table.Header(), rows, nil)
			got, _ := intake.Parse(intake.RowPayload(table.Header(), rows[0]), intake.MappingOf(columns))
			if diff := cmp.Diff(e.Maps, got.Fields); diff != "" {
				t.Errorf("%s (-want +got):\n%s", e.System, diff)
			}
			system, _, _ := strings.Cut(e.System, "-")
			for _, c := range columns {
				if c.Field != "" && (c.How != "export:"+system || c.Confidence != 1) {
					t.Errorf("%s: %+v, want it known from that export", e.System, c)
				}
			}
			random.Shuffle(len(e.Header), func(i, j int) { e.Header[i], e.Header[j] = e.Header[j], e.Header[i] })
		}
	}
}

func TestNamesThatAreNearlyOursAreMapped(t *testing.T) {
	for name, want := range map[string]string{
		"E-Mail Adresse (geschäftl.)": "email", "Ihre E-Mail-Adresse*": "email", "emial": "email", "E-Mial": "", "Emails": "email", "Business E-mail": "email",
		"Telefon-Nr.": "phone", "Telefon (privat)": "phone", "Telephone No.": "phone", "Phnoe": "phone", "Tel. geschäftlich": "phone", "Moblie phone": "phone",
		"Vor- und Nachname": "name", "Your full name (required)": "name", "Fist name": "first_name", "Vornamen": "first_name", "Nachnahme": "last_name", "Sur name": "",
		"Fimra": "company", "Unternehmenn": "company", "Compnay": "company", "Organisaton": "company", "Webiste": "website", "Postleizahl": "postal_code",
		"Kunden-PLZ": "postal_code", "Contry": "country", "Nachrict": "message",
	} {
		columns := intake.Columns([]string{name}, nil, nil)
		if got := columns[0]; got.Field != want || (want != "") != (got.Confidence > .7 && got.Confidence <= 1 && got.How != "") {
			t.Errorf("%s is taken for %+v, want %q", name, got, want)
		}
	}
}

func TestNamesOfOtherThingsStayUnmapped(t *testing.T) {
	for _, name := range []string{
		"Email opt-out", "Email Opt Out", "Phone type", "Company size", "Country manager", "Name of dog", "County", "Start", "Titel", "Content", "Username",
		"User name", "Product name", "Campaign name", "File name", "ad_name", "Owner", "Lead owner", "Contact owner", "Lead source", "Lead status", "Email status",
		"E-mail 1 - Type", "E-Mail Display Name", "Assistant's Phone", "Manager's Name", "Fax", "Telefax", "Business Fax", "State", "Region", "Street", "Email verified",
		"Company ID", "Account number of bank", "Account number", "Company no.", "Firmen-Nr.", "Kunden-Nr.", "Contact", "Person",
		"Number", "Nr.", "No", "Number of employees", "Position in queue", "Job ID", "Country of birth", "City tax", "Last modified", "First seen",
		"Last contact", "Name prefix", "Maiden name", "Phonetic Last Name", "Message ID", "Votes", "Consent text", "Newsletter consent date", "Contest", "Landing page",
		"Website visits", "Zip file", "Birthday", "id", "", "-", "x", "column_1", "日付", "E", "Mai", "Worker", "Hotel", "Total", "Role of contact in deal", "Concent",
	} {
		columns := intake.Columns([]string{name}, [][]string{{"x"}, {"y"}, {"z"}}, nil)
		if got := columns[0]; got.Field != "" || got.Confidence != 0 || got.How != "" {
			t.Errorf("%q is taken for %+v, want for nothing", name, got)
		}
	}
}

func TestColumnsAreKnownByWhatTheyHold(t *testing.T) {
	rows := [][]string{{"1", "Ada <ada@example.com>", "+44 20 7946 0123", "o@example.com", "2026-03-01"}, {"2", "", "020 7946 0124", "o@example.com", "2026-03-02"},
		{"3", "bob@example.com", "(212) 555-0180", "o@example.com", "2026-03-03"}, {"4", "eve@example.com", "", "o@example.com", "2026-03-04"}}
	header := []string{"column_1", "column_2", "Durchwahl", "Owner e-mail", "column_5"}
	got := intake.Columns(header, rows, nil)
	if diff := cmp.Diff(map[string]string{"column_2": "email content", "Durchwahl": "phone content"}, fieldsOf(got)); diff != "" {
		t.Errorf("columns (-want +got):\n%s", diff)
	}
	if got[1].Samples != 3 || got[1].Confidence < .8 {
		t.Errorf("column = %+v, want 3 samples and confidence", got[1])
	}
	got = intake.Columns([]string{"id", "Kontaktweg", "Mail", "x", "y"}, rows, nil)
	if got[1].Field != "" || got[2].Field != "email" {
		t.Errorf("columns = %+v, want the one that is called so to come first", got)
	}
}

func TestNumbersThatNobodyDialsAreNoTelephones(t *testing.T) {
	for _, cell := range []string{"01.02.2024", "2024-01-02", "01/02/2024 10:15", "00012345", "0000012345", "01000", "4006381333931",
		"0123456789012", "12345678901", "1234567.89", "+1.5", "-100000000", "192.168.100.100", "(2024)", "0"} {
		if got := intake.Columns([]string{"x"}, [][]string{{cell}, {cell}, {cell}}, nil); got[0].Field != "" {
			t.Errorf("a column of %s is taken for %+v", cell, got[0])
		}
	}
	for _, cell := range []string{"+49 30 23125038", "p:+12125550180", "0049 30 23125038", "030/23125038", "(0)30 2312 5038", "020 7946 0123", "(+44) 20 7946 0123"} {
		if got := intake.Columns([]string{"x"}, [][]string{{cell}, {cell}, {cell}}, nil); got[0].Field != "phone" {
			t.Errorf("a column of %s is taken for %+v, want phone", cell, got[0])
		}
	}
}

func TestNoTwoGuessesAreForOneField(t *testing.T) {
	got := intake.Columns([]string{"E-Mail", "emial", "Telefon-Nr.", "Telefon (privat)", "Firma", "Company"}, nil, nil)
	want := map[string]string{"E-Mail": "email name", "Telefon-Nr.": "phone fuzzy", "Firma": "company name", "Company": "company name"}
	if diff := cmp.Diff(want, fieldsOf(got)); diff != "" {
		t.Errorf("columns (-want +got):\n%s", diff)
	}
}

func TestAPersonsMappingComesFirstAndIsRemembered(t *testing.T) {
	header := []string{"E-Mail", "Kontaktweg", "Title", "Fimra", "Notes", "Ort"}
	byHand := intake.Mapping{"E-Mail": intake.Ignored, "Kontaktweg": "email", "Notes": intake.Ignored}
	columns := intake.Columns(header, nil, byHand)
	want := map[string]string{"Kontaktweg": "email hand", "Title": "title name", "Fimra": "company fuzzy", "Ort": "city name"}
	if diff := cmp.Diff(want, fieldsOf(columns)); diff != "" {
		t.Errorf("columns (-want +got):\n%s", diff)
	}
	m := intake.MappingOf(columns)
	if diff := cmp.Diff(intake.Mapping{"E-Mail": "-", "Kontaktweg": "email", "Fimra": "company", "Notes": "-"}, m); diff != "" {
		t.Errorf("mapping (-want +got):\n%s", diff)
	}
	for _, c := range intake.Columns(header, nil, m) {
		if field, _, _ := strings.Cut(want[c.Name], " "); c.Field != field {
			t.Errorf("%+v, want %q again", c, field)
		}
		if m.Field(c.Name) != c.Field {
			t.Errorf("Parse takes %s for %q, want %q", c.Name, m.Field(c.Name), c.Field)
		}
	}
}

func TestTheFirstOfJoinedValuesCountsAndAllAreKept(t *testing.T) {
	got, _ := intake.Parse([]byte(`{"E-mail 1 - Value":"a@b.c ::: d@e.f","Phone 1 - Value":" ::: +49 30 1 ::: 2"}`), nil)
	if got.Fields["email"] != "a@b.c" || got.Fields["phone"] != "+49 30 1" || got.Extra["E-mail 1 - Value"] != "a@b.c ::: d@e.f" {
		t.Errorf("submission = %+v", got)
	}
}

func TestWhatWeWriteIsSafeAndReadBackAsItWas(t *testing.T) {
	all := []string{"=1+1", "+44 20", "-x", "@a", "\tx", "\rx", "'=x", "''=x", "＝x", "'x", "''", "it's", "", "＝1", " =1", "\n=1"}
	for _, cell := range all {
		safe := intake.Safe([]string{cell})[0]
		if strings.IndexAny(safe, "=+-@\t\r") == 0 {
			t.Errorf("%q is written as %q, want a cell that is no formula", cell, safe)
		}
		file := "email,x\na@b.c," + strings.Join(quotedAll([]string{safe}), "") + "\n"
		_, rows := opened(t, []byte(file), intake.Options{})
		if want := strings.ReplaceAll(cell, "\r", "\n"); rows[0][1] != want {
			t.Errorf("%q is written as %q and read as %q", cell, safe, rows[0][1])
		}
	}
}

func ExampleColumns() {
	header, sample := []string{"E-Mail Adresse (geschäftl.)", "Fimra", "Phone type"}, [][]string{{"ada@example.com", "ACME", "mobile"}}
	columns := intake.Columns(header, sample, nil)
	for _, c := range columns {
		fmt.Printf("%s: %q %q %.2f\n", c.Name, c.Field, c.How, c.Confidence)
	}
	m := intake.MappingOf(columns)
	for _, name := range slices.Sorted(maps.Keys(m)) {
		fmt.Println(name, "=", m[name])
	}
	// Output:
	// E-Mail Adresse (geschäftl.): "email" "fuzzy" 0.90
	// Fimra: "company" "fuzzy" 0.75
	// Phone type: "" "" 0.00
	// E-Mail Adresse (geschäftl.) = email
	// Fimra = company
}
