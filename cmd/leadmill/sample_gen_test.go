package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/leadmill/leadmill/schema"
)

// The sample is made by the generator below, the same bytes at every run: go test ./cmd/leadmill -run Sample -update
// writes it anew. The people do not exist; the telephone ranges are those that regulators keep free for fiction.

var update = flag.Bool("update", false, "write sample.csv and its expected counts")

const expectedFile = "testdata/sample.expected.json"

func TestTheSampleIsWhatItsGeneratorMakes(t *testing.T) {
	file, want := makeSample()
	counts, err := json.MarshalIndent(want, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("sample.csv", file, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(expectedFile, append(counts, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(file, sample) && !*update {
		t.Error("sample.csv is not what the generator makes: run with -update")
	}
	if got := expectedCounts(t); got != want {
		t.Errorf("%s = %+v, want %+v", expectedFile, got, want)
	}
}

// expectedCounts is what the generator planted, counted without any of the program's rules.
func expectedCounts(t *testing.T) (c schema.Counts) {
	t.Helper()
	text, err := os.ReadFile(expectedFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

type person struct{ first, last, mail, company, title, city, country, phone string }

type maker struct {
	rng    *rand.Rand
	rows   [][]string
	counts schema.Counts
}

func makeSample() ([]byte, schema.Counts) {
	m := &maker{rng: rand.New(rand.NewPCG(2026, 11))}
	people := m.people(415)
	for _, p := range people {
		m.add(p, p.mail, p.phone)
		m.counts.Accepted++
	}
	for i := range 55 {
		p := people[i*7]
		m.add(p, m.otherwise(p.mail, i), "")
		m.counts.Duplicate++
	}
	for i := range 5 { // the same person, known by the number alone
		p := people[i*42+1]
		p.phone = "+1 (212) 555-01" + fmt.Sprintf("%02d", i)
		m.rows[i*42+1] = m.row(p, p.mail, p.phone)
		m.add(p, "", p.phone)
		m.counts.Duplicate++
	}
	for i, form := range malformed {
		m.add(people[i+300], fmt.Sprintf(form, "wrong"+fmt.Sprint(i)), "")
		m.counts.Rejected++
	}
	for i := range 5 {
		p := m.strange(i)
		m.add(p, p.mail, "")
		m.counts.Quarantined++
	}
	m.counts.Rows = int64(len(m.rows))
	return m.file(), m.counts
}

var (
	firsts    = strings.Fields("Aino Björn Chiara Dmitri Eilidh Fatima Gaël Hanna Ibrahim Jolana Kwame Léa Mateusz Nadia Oisín Priya Quentin Rosa Søren Tamar Umut Valentina Wim Ximena Yuki Zofia")
	lasts     = strings.Fields("Abernathy Brüning Castellanos Dąbrowski Eriksen Fairweather Großmann Hakimi Ivanova Jokinen Kowalczyk Lefèbvre Müllender Nakagawa O'Donnell Pettersson Quiroga Rossetti Śliwa Tømmerås Undset Vandenberghe Wójtowicz Xanthopoulos Ybarra Żeleński")
	companies = []string{"Northwind Sample Traders", "Acme Demo GmbH", "Muster & Söhne KG", "Contoso Example Ltd", "Placeholder \"Best\" SARL", "Fabrikam, Inc.", "Lorem Ipsum AB", "Exempel Verkstad"}
	titles    = []string{"Head of Sales", "CEO", "Buyer", "Procurement Manager", "", "Student", "VP Marketing", "Engineer"}
	messages  = []string{"", "Please send a quote for 20 seats", "Call me back", "Bitte um ein Angebot", "two lines\nof text", "we met at the fair; follow up", "Demo next week?"}
	countries = []struct{ names, city, phone string }{
		{"US|USA|United States", "Portland, OR", "(212) 555-01%02d"}, {"GB|UK|United Kingdom|England", "Leeds", "020 7946 0%03d"},
		{"DE|Germany|Deutschland", "Köln", "030/23125 %03d"}, {"FR|France", "Nîmes", "01 99 00 %02d 10"}, {"SE|Sweden|Sverige", "Malmö", "08-465 004 %02d"},
		{"AU|Australia", "Perth", "(02) 5550 %04d"},
	}
	malformed = []string{
		"%s.example.com", "%s(at)example.org", "%s@@example.com", "@%s.example.com", "%s@", "%s..x@example.com", ".%s@example.com",
		"%s.@example.net", "%s x@example.com", "%s@exam ple.org", "%s@example,com", "%s@localhost", "%s@-example.com", "%s@example..com",
		"%s[@example.com", "a@%s@example.com", "www.%s.example", "%s@.example.com", "%s@exa_mple!.com", "%s@example",
	}
)

func (m *maker) pick(from []string) string { return from[m.rng.IntN(len(from))] }

// people are distinct by address and by number.
func (m *maker) people(n int) []person {
	people := make([]person, n)
	for i := range people {
		c := countries[i%len(countries)]
		p := person{
			first: m.pick(firsts), last: m.pick(lasts), company: m.pick(companies), title: m.pick(titles), city: c.city,
			country: m.pick(strings.Split(c.names, "|")),
		}
		p.mail = fmt.Sprintf("lead.%03d@%s", i, m.pick([]string{"northwind.example.com", "acme.example.org", "muster.example.net"}))
		if i%6 == 1 {
			p.mail = fmt.Sprintf("sample.lead.%03d@%s", i, m.pick([]string{"gmail.com", "web.de", "mailinator.com"}))
		}
		if k := i / len(countries); i%5 != 0 && i%len(countries) != 0 {
			p.phone = fmt.Sprintf(c.phone, k)
		}
		people[i] = p
	}
	return people
}

// otherwise writes an address as the same person might the next time.
func (m *maker) otherwise(mail string, i int) string {
	local, domain, _ := strings.Cut(mail, "@")
	switch i % 4 {
	case 0:
		return strings.ToUpper(mail)
	case 1:
		return local + "+" + m.pick([]string{"news", "crm", "2026"}) + "@" + domain
	case 2:
		return "  " + mail + "\u00a0"
	default:
		return strings.ToUpper(local) + "+Fair@" + domain
	}
}

// strange are submissions that a person should look at.
func (m *maker) strange(i int) person {
	p := person{first: "Odd", last: fmt.Sprint("Number", i), mail: fmt.Sprintf("odd.%d@example.com", i), country: "GB"}
	switch i {
	case 0, 1:
		p.first = "Win now http://prize.example/" + fmt.Sprint(i)
	case 2, 3:
		p.last = "M\uFFFDller"
	case 4:
		p.title = "http links"
	}
	return p
}

func (m *maker) add(p person, mail, phone string) { m.rows = append(m.rows, m.row(p, mail, phone)) }

func (m *maker) row(p person, mail, phone string) []string {
	message := m.pick(messages)
	if p.title == "http links" {
		message = strings.Repeat("see http://shop.example/x ", 4)
	}
	switch m.rng.IntN(8) {
	case 0:
		p.first, p.last = strings.ToUpper(p.first), strings.ToUpper(p.last)
	case 1:
		p.first, p.last = strings.ToLower(p.first), strings.ToLower(p.last)
	case 2:
		p.first += " "
	}
	return []string{p.first, p.last, mail, phone, p.company, p.title, p.city, p.country, message}
}

// file shuffles repeats and rejects among the rest; who comes first founds the lead, whoever that is.
func (m *maker) file() []byte {
	m.rng.Shuffle(len(m.rows), func(i, j int) { m.rows[i], m.rows[j] = m.rows[j], m.rows[i] })
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	w.UseCRLF = true
	_ = w.Write([]string{"First Name", "Last Name", "E-mail", "Phone", "Company / Account", "Job Title", "City", "Country", "Description"})
	_ = w.WriteAll(m.rows) // into memory
	return b.Bytes()
}
