package web

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/jobs"
	"github.com/leadmill/leadmill/lead"
	"github.com/leadmill/leadmill/lead/intake"
	"github.com/leadmill/leadmill/schema"
)

// choice is something about the format that a person may overrule.
type choice struct {
	Name, Label, Found string // Found is what was recognised
	Options            []option
}

type option struct {
	Value, Text string
	Chosen      bool
}

var (
	encodings = []option{
		{Value: "utf-8"}, {Value: "utf-16le"}, {Value: "utf-16be"}, {Value: "windows-1252", Text: "windows-1252 (Western)"},
		{Value: "iso-8859-15", Text: "iso-8859-15 (Western)"}, {Value: "macintosh"}, {Value: "windows-1250", Text: "windows-1250 (Central European)"},
		{Value: "windows-1251", Text: "windows-1251 (Cyrillic)"}, {Value: "shift_jis"}, {Value: "gb18030"},
	}
	delimiters = []option{{Value: ",", Text: "comma"}, {Value: ";", Text: "semicolon"}, {Value: "\t", Text: "tab"}, {Value: "|", Text: "bar"}}
	quotes     = []option{{Value: `"`, Text: `double: "`}, {Value: "'", Text: "single: '"}, {Value: "none"}}
)

// choices are what can be overruled of a format.
func choices(f intake.Format, o intake.Options) []choice {
	header := "there is none"
	if f.HeaderLine > 0 {
		header = fmt.Sprintf("line %d", f.HeaderLine)
	}
	lines := []option{{Value: "-1", Text: "there is none"}}
	for n := 1; n <= 20; n++ {
		lines = append(lines, option{Value: strconv.Itoa(n), Text: fmt.Sprintf("line %d", n)})
	}
	headers := choose("header", "Header", header, strconv.Itoa(o.Header), lines)
	if len(f.Sheets) > 0 {
		var sheets []option
		for _, name := range f.Sheets {
			sheets = append(sheets, option{Value: name})
		}
		return []choice{choose("sheet", "Sheet", f.Sheet, o.Sheet, sheets), headers}
	}
	return []choice{
		choose("encoding", "Encoding", f.Encoding, o.Encoding, encodings),
		choose("delimiter", "Columns end at", textOf(f.Delimiter, delimiters), o.Delimiter, delimiters),
		choose("quote", "Quotation marks", textOf(f.Quote, quotes), o.Quote, quotes),
		headers,
	}
}

func choose(name, label, found, chosen string, options []option) choice {
	c := choice{Name: name, Label: label, Found: found}
	for _, o := range options {
		if o.Text == "" {
			o.Text = o.Value
		}
		o.Chosen = o.Value == chosen
		c.Options = append(c.Options, o)
	}
	return c
}

func textOf(value string, options []option) string {
	for _, o := range options {
		if o.Value == value && o.Text != "" {
			return o.Text
		}
	}
	return value
}

// orderImport takes what a person has decided about a file, and begins the import if they said so.
func (s *Server) orderImport(w http.ResponseWriter, r *http.Request) {
	if !readForm(w, r, ordersLimit) {
		return
	}
	n := pathID(r)
	var m schema.Import
	v := s.read(r, mayOperate, func(ctx context.Context, tx *dbctx.Tx) (err error) {
		m, err = schema.GetImport(ctx, tx, n)
		return err
	})
	if v.err != nil {
		s.fail(w, v)
		return
	}
	orders := ordersOf(r.PostForm, m)
	notice, start := "ordered", r.PostForm.Get("do") == "import"
	v.err = s.queue.OrderFile(r.Context(), n, orders, start)
	if said := complaint(v.err, 0); said != "" {
		s.showImport(w, r, http.StatusUnprocessableEntity, said, &orders)
		return
	}
	if v.err == nil && start {
		notice = "started"
		s.log.Info("import started", "import", n, "user", v.user.ID)
	}
	s.done(w, v, fmt.Sprintf("/imports/%d", n), notice)
}

// ordersLimit is the bytes of a form that names every column of a file.
const ordersLimit = 1 << 20

// ordersOf reads the form. Only columns that a person has changed are decided: the form says what they were taken for.
func ordersOf(form url.Values, m schema.Import) jobs.Orders {
	o := jobs.Orders{Mapping: intake.Mapping{}}
	o.Options.Encoding, o.Options.Delimiter = form.Get("encoding"), form.Get("delimiter")
	o.Options.Quote, o.Options.Sheet = form.Get("quote"), form.Get("sheet")
	o.Options.Header, _ = strconv.Atoi(form.Get("header"))
	for column, field := range m.Decided {
		o.Mapping[column] = field
	}
	for i := 0; form.Has(fmt.Sprintf("column.%d", i)); i++ {
		column, field := form.Get(fmt.Sprintf("column.%d", i)), form.Get(fmt.Sprintf("field.%d", i))
		known := field == intake.Ignored
		for _, name := range lead.FieldNames {
			known = known || field == name
		}
		if known && field != form.Get(fmt.Sprintf("was.%d", i)) {
			o.Mapping[column] = field
		}
	}
	return o
}
