package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/leadmill/leadmill/jobs"
	"github.com/leadmill/leadmill/schema"
)

//go:embed templates/*.html
var templateFiles embed.FS

// templates are the pages by the name of their file, each inside the layout. They are parsed for who serves, and not for
// every command.
var templates = sync.OnceValue(parseTemplates)

func parseTemplates() map[string]*template.Template {
	layout := template.Must(template.New("layout.html").Funcs(templateFuncs).
		ParseFS(templateFiles, "templates/layout.html", "templates/parts.html"))
	files, err := templateFiles.ReadDir("templates")
	if err != nil {
		panic(err) // embedded
	}
	pages := map[string]*template.Template{}
	for _, f := range files {
		clone := template.Must(layout.Clone())
		name := strings.TrimSuffix(f.Name(), ".html")
		pages[name] = template.Must(clone.ParseFS(templateFiles, "templates/"+f.Name()))
	}
	return pages
}

var templateFuncs = template.FuncMap{
	"asset":       assetURL,
	"when":        when,
	"words":       words,
	"label":       label,
	"mail":        mail,
	"number":      number,
	"pretty":      pretty,
	"prose":       prose,
	"line":        line,
	"span":        span,
	"why":         func(reason string) string { return whyKept[reason] },
	"foundBy":     foundBy,
	"short":       short,
	"rowList":     func(title string, rows []jobs.Foreseeing) rowList { return rowList{title, rows} },
	"undelivered": func(d schema.Delivery, back string) undelivered { return undelivered{d, back} },
}

// view is what every template is given.
type view struct {
	Title  string
	Tab    string        // the page of the navigation this one belongs to: "/leads"
	Every  string        // how often the live part is asked for again: "5s"; "" never
	Page   any           // what the page shows
	User   *schema.User  // nil: nobody is logged in
	Dev    bool          // no log-in, so no log-out
	Notice string        // what an action before this page did
	Path   string        // path and query of this page, for coming back to it
	Live   template.HTML // the live part
	seen   string        // names what the live part says
	query  url.Values    // of Path
}

// Operator says whether to offer what changes things.
func (v view) Operator() bool { return v.User != nil && mayOperate(*v.User) }

// Tabs are the pages of the navigation.
func (v view) Tabs() [][2]string {
	tabs := [][2]string{
		{"/", "Today"}, {"/leads", "Leads"}, {"/intakes", "Intakes"}, {"/failed", "Failed"},
		{"/imports", "Imports"}, {"/sources", "Sources"}, {"/destinations", "Destinations"}, {"/cron", "Cron"},
	}
	if v.Operator() {
		tabs = append(tabs, [2]string{"/jobs/", "Jobs"})
	}
	return append(tabs, [2]string{"/docs", "API"})
}

// show answers with a page, or with why there is none.
func (s *Server) show(w http.ResponseWriter, v visit, name string, p view) {
	s.showWith(w, v, http.StatusOK, name, p)
}

func (s *Server) showWith(w http.ResponseWriter, v visit, status int, name string, p view) {
	if v.err != nil {
		s.fail(w, v)
		return
	}
	p.Notice = notices[v.r.URL.Query().Get("notice")]
	s.render(w, v, status, name, p)
}

// render fills the template before anything is sent, so a page is whole or not there at all.
//
// A page with a template "live" is asked for again and again by htmx. What is asked for then is that part only, and
// nothing is sent if it reads as it did the last time.
func (s *Server) render(w http.ResponseWriter, v visit, status int, name string, p view) {
	w.Header().Set("Cache-Control", "no-store") // what pages show is about people
	w.Header().Set("Vary", "HX-Target")
	p.complete(s, v)
	t := templates()[name]
	var page bytes.Buffer
	err := p.fillLive(t)
	switch {
	case err != nil:
	case p.Live != "" && v.r.Header.Get("HX-Target") == "live":
		if v.r.URL.Query().Get("seen") == p.seen {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		err = t.ExecuteTemplate(&page, "frame", p)
	default:
		err = t.ExecuteTemplate(&page, "layout.html", p)
	}
	if err != nil {
		s.log.Error("page", "page", name, "error", err)
		http.Error(w, "This page cannot be shown.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	page.WriteTo(w)
}

func (p *view) complete(s *Server, v visit) {
	if v.known {
		p.User = &v.user
	}
	p.Dev = s.config.Dev
	p.query = v.r.URL.Query()
	p.query.Del("seen")
	p.query.Del("notice")
	p.Path = withQuery(v.r.URL.Path, p.query)
}

// Here is where the live part is asked for, saying what was seen of it.
func (v view) Here() string {
	query := maps.Clone(v.query)
	query.Set("seen", v.seen)
	path, _, _ := strings.Cut(v.Path, "?")
	return withQuery(path, query)
}

// fillLive renders the live part and names it after what it says.
func (p *view) fillLive(t *template.Template) error {
	if t.Lookup("live") == nil || p.Every == "" {
		return nil
	}
	var live bytes.Buffer
	if err := t.ExecuteTemplate(&live, "live", p); err != nil {
		return err
	}
	sum := sha256.Sum256(live.Bytes())
	p.Live = template.HTML(live.String()) // made by html/template just now
	p.seen = hex.EncodeToString(sum[:8])
	return nil
}

func withQuery(p string, query url.Values) string {
	u := url.URL{Path: p, RawQuery: query.Encode()}
	return u.String()
}

// when writes a time for people and for programs: UTC, to the second.
func when(t any) template.HTML {
	var at time.Time
	switch t := t.(type) {
	case time.Time:
		at = t
	case *time.Time:
		if t == nil {
			return "–"
		}
		at = *t
	}
	at = at.UTC()
	return template.HTML(`<time datetime="` + at.Format(time.RFC3339) + `">` + at.Format("2006-01-02 15:04:05") + `</time>`)
}

// words turns a code into words: "delivery_retry" into "delivery retry".
func words(code any) string { return strings.ReplaceAll(fmt.Sprint(code), "_", " ") }

// label is a field's name as a heading.
func label(name any) string {
	field := fmt.Sprint(name)
	s := strings.ReplaceAll(words(field), "email", "e-mail")
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// mail is an e-mail address that a narrow column may break where it reads well.
func mail(address string) template.HTML {
	return template.HTML(strings.NewReplacer("@", "<wbr>@", ".", "<wbr>.").Replace(template.HTMLEscapeString(address)))
}

// number groups the digits of a count by three: 12,345.
func number(n any) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// span is a duration in its largest whole unit.
func span(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", max(0, d/time.Second))
	case d < time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", d/time.Hour)
	default:
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	}
}

// pretty indents JSON and leaves anything else as it is.
func pretty(data json.RawMessage) string {
	var out bytes.Buffer
	if json.Indent(&out, data, "", "  ") != nil {
		return string(data)
	}
	return out.String()
}

// assetURL is where a static file is found, with a name that changes with it.
func assetURL(name string) (string, error) {
	a, ok := assets()[name]
	if !ok {
		return "", fmt.Errorf("static file %s does not exist", name)
	}
	return path.Join("/static", name) + "?v=" + a.tag, nil
}
