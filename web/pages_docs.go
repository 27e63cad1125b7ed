package web

import (
	"encoding/json"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/leadmill/leadmill/docs/snippets"
)

// docsPage is the reference: the document as people read it, and programs to begin with.
type docsPage struct {
	*apiDocument
	Groups   []docsGroup
	Snippets []snippet
	SQL      snippet
}

// docsGroup is the calls of one tag.
type docsGroup struct {
	apiTag
	Calls []docsCall
}

type docsCall struct {
	Method, Path string
	*apiCall
}

// Shared are the answers that other calls give too: errors, which the page describes once.
func (c docsCall) Shared() ordered[apiResponse] {
	return slices.DeleteFunc(slices.Clone(c.Responses), func(r member[apiResponse]) bool { return r.Value.Ref == "" })
}

// snippet is a program that sends a lead.
type snippet struct{ Language, File, Text string }

// reference is made once, when it is first asked for: nothing in it changes while the process lives.
var reference = sync.OnceValue(newReference)

func newReference() docsPage {
	d, err := readDocument(openAPI)
	if err != nil {
		panic(err) // embedded
	}
	p := docsPage{apiDocument: d, SQL: newSnippet("Python, with SQLAlchemy", "sqlalchemy_enqueue.py")}
	for _, tag := range d.Tags {
		p.Groups = append(p.Groups, docsGroup{tag, d.callsOf(tag.Name)})
	}
	for _, s := range [][2]string{
		{"Shell, with curl", "send_lead.sh"}, {"Python", "send_lead.py"}, {"Node", "send_lead.mjs"}, {"Ruby", "send_lead.rb"}, {"PHP", "send_lead.php"},
	} {
		p.Snippets = append(p.Snippets, newSnippet(s[0], s[1]))
	}
	return p
}

func newSnippet(language, file string) snippet {
	text, err := snippets.Files.ReadFile(file)
	if err != nil {
		panic(err) // embedded
	}
	return snippet{language, file, string(text)}
}

// readDocument parses a document and follows the references of its calls.
func readDocument(text []byte) (*apiDocument, error) {
	d := &apiDocument{}
	if err := json.Unmarshal(text, d); err != nil {
		return nil, err
	}
	for _, path := range d.Paths {
		for _, method := range path.Value {
			d.resolve(method.Value)
		}
	}
	return d, nil
}

func (d *apiDocument) resolve(c *apiCall) {
	for i, p := range c.Parameters {
		if p.Ref != "" {
			c.Parameters[i] = d.Components.Parameters.follow(p.Ref)
		}
	}
	for i := range c.Responses {
		r := &c.Responses[i].Value
		if ref := r.Ref; ref != "" {
			*r = d.Components.Responses.follow(ref)
			r.Ref = ref // the page describes it once
		}
		r.Headers = slices.Clone(r.Headers)
		for i, h := range r.Headers {
			if h.Value.Ref != "" {
				r.Headers[i].Value = d.Components.Headers.follow(h.Value.Ref)
			}
		}
	}
	if c.Security == nil {
		c.Security = d.Security
	}
}

func (d *apiDocument) callsOf(tag string) (calls []docsCall) {
	for _, path := range d.Paths {
		for _, method := range path.Value {
			if slices.Contains(method.Value.Tags, tag) {
				calls = append(calls, docsCall{strings.ToUpper(method.Name), path.Name, method.Value})
			}
		}
	}
	return calls
}

// Samples are the examples of a body that is JSON or text: its own, or those of its schema.
func (d *apiDocument) Samples(kind string, m apiMedia) (samples []apiExample) {
	if strings.Contains(kind, "form") {
		return nil
	}
	for _, e := range m.Examples {
		samples = append(samples, e.Value)
	}
	if len(m.Example) > 0 {
		samples = append(samples, apiExample{Value: m.Example})
	}
	if len(samples) > 0 || m.Schema == nil || m.Schema.Ref == "" {
		return samples
	}
	for _, e := range d.Components.Schemas.follow(m.Schema.Ref).Examples {
		samples = append(samples, apiExample{Value: e})
	}
	return samples
}

// Text is an example as it is sent: a text as such, anything else as JSON.
func (e apiExample) Text() string {
	var text string
	if json.Unmarshal(e.Value, &text) == nil {
		return text
	}
	return pretty(e.Value)
}

// Name is the schema that a reference means.
func (s *apiSchema) Name() string { return lastOf(s.Ref) }

// Shared is the name that several calls refer to an answer by; "" if it is one call's own.
func (r apiResponse) Shared() string { return lastOf(r.Ref) }

// Choice is what it may be one of.
func (s *apiSchema) Choice() []*apiSchema { return append(s.OneOf, s.AnyOf...) }

// Must says whether a member is always there.
func (s *apiSchema) Must(name string) bool { return slices.Contains(s.Required, name) }

// Kinds is the type in words.
func (s *apiSchema) Kinds() string { return strings.Join(s.Type, " or ") }

// Succeeds says that a status is no error.
func (m member[T]) Succeeds() bool { return m.Name < "4" }

// prose makes paragraphs of a description; what stands between ` is code.
func prose(text string) template.HTML {
	var out strings.Builder
	for paragraph := range strings.SplitSeq(text, "\n\n") {
		out.WriteString("<p>" + string(line(paragraph)) + "</p>\n")
	}
	return template.HTML(out.String())
}

// line is prose of one paragraph.
func line(text string) template.HTML {
	parts := strings.Split(template.HTMLEscapeString(text), "`")
	for i := 1; i < len(parts); i += 2 {
		parts[i] = "<code>" + parts[i] + "</code>"
	}
	return template.HTML(strings.Join(parts, ""))
}

// docs shows the reference to anybody; who is logged in keeps the navigation.
func (s *Server) docs(w http.ResponseWriter, r *http.Request) {
	v := visit{r: r}
	var err error
	v.user, err = s.whoami(r)
	v.known = err == nil
	s.render(w, v, http.StatusOK, "docs", view{Title: "API", Tab: "/docs", Page: reference()})
}
