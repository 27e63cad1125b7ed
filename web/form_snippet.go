package web

import (
	"html/template"
	"strings"
	"sync"

	"github.com/leadmill/leadmill/schema"
)

// FormSnippet is the HTML of a form that sends to a source with a form, to be put on any page as it stands. base is
// where that page's visitors reach us: "https://leads.example".
func FormSnippet(base string, s schema.Source) string {
	v := formMarkup{Address: base + "/f/" + s.Form.ID, Honeypot: s.Form.Honeypot, Timed: s.Form.MinTime > 0}
	if len(s.Redirects) > 0 {
		v.Redirect = s.Redirects[0]
	}
	var text strings.Builder
	if err := snippetTemplate().Execute(&text, v); err != nil {
		panic(err) // a builder takes everything
	}
	return text.String()
}

// formMarkup is what a form depends on.
type formMarkup struct {
	Address, Honeypot string
	Redirect          string // "": to our thanks
	Timed             bool
}

var snippetTemplate = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("snippet").Parse(`<form method="post" action="{{.Address}}">
  <label>Name <input name="name" autocomplete="name"></label>
  <label>E-mail <input name="email" type="email" autocomplete="email" required></label>
  <label>Phone <input name="phone" type="tel" autocomplete="tel"></label>
  <label>Message <textarea name="message"></textarea></label>
{{- with .Honeypot}}
  <div hidden><input name="{{.}}" tabindex="-1" autocomplete="off"></div>
{{- end}}
{{- with .Redirect}}
  <input type="hidden" name="_redirect" value="{{.}}">
{{- end}}
{{- if .Timed}}
  <input type="hidden" name="_started">
{{- end}}
  <button>Send</button>
</form>
{{- if .Timed}}
<script>
  fetch({{.Address}} + "/token").then(r => r.ok ? r.text() : "").then(token =>
    document.getElementsByName("_started").forEach(field => field.value = token))
</script>
{{- end}}
`))
})
