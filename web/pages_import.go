package web

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/jobs"
	"github.com/leadmill/leadmill/lead"
	"github.com/leadmill/leadmill/lead/intake"
	"github.com/leadmill/leadmill/schema"
)

// importPage is a file: what it would become as long as nobody has said yes, then what became of it.
type importPage struct {
	schema.Import
	Size     string
	Error    string         // what was wrong with the orders before; "" nothing
	Looked   *jobs.Examined // nil if it was imported, or cannot be read as ordered
	Foreseen jobs.Foreseen
	Fields   []string // a column can be
	Choices  []choice
	Percent  int64
	Rate     int64         // rows a second; 0 not known
	Left     time.Duration // 0 not known
	Kept     []schema.Kept // the first leads that a revert left alone
	AllKept  int64
}

// Limits of looking at a file.
const (
	foreseeFor  = 3 * time.Second // while a person waits
	foreseeRows = 10              // shown
	keptRows    = 50              // shown
)

func (s *Server) importPage(w http.ResponseWriter, r *http.Request) {
	s.showImport(w, r, http.StatusOK, "", nil)
}

// showImport shows an import; one that waits for a yes as it would be read by these orders, nil for those it has.
func (s *Server) showImport(w http.ResponseWriter, r *http.Request, status int, complaint string, orders *jobs.Orders) {
	p := importPage{Error: complaint}
	v := s.read(r, anyone, func(ctx context.Context, tx *dbctx.Tx) (err error) {
		if p.Import, err = schema.GetImport(ctx, tx, pathID(r)); err != nil {
			return err
		}
		if p.AllKept, err = schema.CountKept(ctx, tx, p.ID); err != nil || p.AllKept == 0 {
			return err
		}
		p.Kept, err = schema.ImportKept(ctx, tx, p.ID, 0, keptRows)
		return err
	})
	if v.err == nil && p.State == schema.ImportReady {
		v.err = s.foresee(r.Context(), &p, orders)
	}
	p.complete(s.now())
	every := "2s"
	if p.State == schema.ImportReady {
		every = ""
	}
	s.showWith(w, v, status, "import", view{Title: fmt.Sprintf("Import %d", p.ID), Tab: "/imports", Every: every, Page: p})
}

// foresee looks at a file. That it cannot be read as ordered is told on the page.
func (s *Server) foresee(ctx context.Context, p *importPage, orders *jobs.Orders) error {
	m := p.Import
	if orders != nil {
		m.Options, m.Decided = orders.Options, orders.Mapping
	}
	looked, foreseen, err := s.queue.Foresee(ctx, m, foreseeRows, foreseeFor)
	if said := complaint(err, 0); said != "" && p.Error == "" {
		p.Error = said
	} else if err != nil && said == "" {
		return err
	}
	p.Looked, p.Foreseen, p.Fields = looked, foreseen, lead.FieldNames
	format := m.Format
	if looked != nil {
		format = looked.Format
	}
	p.Choices = choices(format, m.Options)
	return nil
}

func (p *importPage) complete(now time.Time) {
	p.Size = bytesText(p.Import.Size)
	p.Percent = int64(100 * p.Fraction())
	rate := p.Import.Rate(now)
	p.Rate = int64(rate)
	if f := p.Fraction(); rate > 0 && f > 0 && f < 1 {
		p.Left = time.Duration(float64(p.Processed()) * (1 - f) / f / rate * float64(time.Second))
	}
}

// Active says that the import goes on by itself.
func (p importPage) Active() bool {
	return p.State == schema.ImportWaiting || p.State == schema.ImportReading || p.State == schema.ImportReverting || p.Counts.Pending > 0
}

// rowList is rows under a title.
type rowList struct {
	Title string
	Rows  []jobs.Foreseeing
}

// short is the beginning of a cell.
func short(text string) string {
	const most = 60
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return text
}

// foundBy says how a column was recognised.
func foundBy(how string) string {
	if export, ok := strings.CutPrefix(how, "export:"); ok {
		return "the export of " + export
	}
	switch how {
	case "hand":
		return "a person"
	case "name":
		return "its name"
	case "fuzzy":
		return "a similar name"
	case "content":
		return "what it holds"
	}
	return how
}

// whyKept says why a revert left a lead alone.
var whyKept = map[string]string{
	schema.KeptShared:    "Others have sent something to it since.",
	schema.KeptDelivered: "A destination was told of it, or perhaps was.",
	schema.KeptChanged:   "A person has changed something.",
	schema.KeptTheirs:    "It was there before. It holds data from this file.",
}

// CanPause is for what is being read.
func (p importPage) CanPause() bool {
	return p.State == schema.ImportWaiting || p.State == schema.ImportReading
}

// CanResume is for what a person has stopped.
func (p importPage) CanResume() bool { return p.State == schema.ImportPaused }

// CanCancel is for what can still be read.
func (p importPage) CanCancel() bool {
	return p.CanPause() || p.CanResume() || p.State == schema.ImportReady
}

// CanRevert is for what has been read.
func (p importPage) CanRevert() bool {
	return p.Rows > 0 && p.State != schema.ImportReverting && p.State != schema.ImportReverted
}

// Chosen says what a column is taken for, for the form: a field, or the sign for none.
func (p importPage) Chosen(c intake.Column) string {
	if c.Field == "" {
		return intake.Ignored
	}
	return c.Field
}

// steerImport is a button of an import.
func (s *Server) steerImport(notice string, do func(ctx context.Context, tx *dbctx.Tx, id int64) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		n := pathID(r)
		v := s.write(r, func(ctx context.Context, tx *dbctx.Tx) error { return do(ctx, tx, n) })
		if v.err == nil {
			s.log.Info("import "+notice, "import", n, "user", v.user.ID)
		}
		s.done(w, v, fmt.Sprintf("/imports/%d", n), notice)
	}
}

func (s *Server) cancelImport(ctx context.Context, tx *dbctx.Tx, id int64) error {
	return schema.CancelImport(ctx, tx, id, s.now().UTC().Truncate(time.Microsecond))
}

// rejectedRows sends the rejected rows as a file to be mended.
func (s *Server) rejectedRows(w http.ResponseWriter, r *http.Request) {
	var m schema.Import
	v := s.read(r, anyone, func(ctx context.Context, tx *dbctx.Tx) (err error) {
		m, err = schema.GetImport(ctx, tx, pathID(r))
		return err
	})
	if v.err != nil {
		s.fail(w, v)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/csv; charset=utf-8")
	h.Set("Content-Disposition", fmt.Sprintf(`attachment; filename="import-%d-rejected.csv"`, m.ID))
	h.Set("Cache-Control", "no-store")
	out := &patient{w, http.NewResponseController(w)}
	if err := s.queue.WriteRejected(r.Context(), m, out); err != nil {
		s.log.Warn("rejected rows", "import", m.ID, "error", err)
		panic(http.ErrAbortHandler) // half a file must not look whole
	}
}

// patient writes to somebody who may take their time, as long as they take something.
type patient struct {
	io.Writer
	connection *http.ResponseController
}

// Write is io.Writer.
func (p *patient) Write(b []byte) (int, error) {
	_ = p.connection.SetWriteDeadline(time.Now().Add(uploadPause)) // a writer that has none needs none
	return p.Writer.Write(b)
}

// nothing is read by who only asks whether they may.
func nothing(context.Context, *dbctx.Tx) error { return nil }
