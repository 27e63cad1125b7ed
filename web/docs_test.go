package web

import (
	"html"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/leadmill/leadmill/dbctx"
)

func TestTheReferenceNeedsNoLogInAndNamesEveryCall(t *testing.T) {
	t.Parallel()
	s := newSite(t, siteDatabases.Open(t, dbctx.SQLite), Config{})
	texts := []string{"<h1>API</h1>"}
	for _, path := range reference().Paths {
		texts = append(texts, "<code>"+path.Name+"</code>")
		for _, call := range path.Value {
			texts = append(texts, ` id="`+call.Value.OperationID+`"`)
		}
	}
	for _, s := range reference().Snippets {
		texts = append(texts, s.Text)
	}
	page := html.UnescapeString(s.sees("/docs"))
	for _, text := range texts {
		if !strings.Contains(page, text) {
			t.Errorf("the reference lacks %q", text)
		}
	}
	s.lacks("/docs", "ZgotmplZ", "&lt;nil&gt;", "<nil>")
	s.users()
	s.login("viewer")
	s.sees("/docs", `<nav aria-label="Pages">`)
}

var (
	pageID   = regexp.MustCompile(` id="([^"]+)"`)
	pageLink = regexp.MustCompile(` href="([^"]+)"`)
)

func TestLinksOfTheReferenceLeadSomewhereOnThePage(t *testing.T) {
	t.Parallel()
	s := newSite(t, siteDatabases.Open(t, dbctx.SQLite), Config{})
	body := s.sees("/docs")
	ids := map[string]bool{}
	for _, m := range pageID.FindAllStringSubmatch(body, -1) {
		if ids[m[1]] {
			t.Errorf("id %q is there twice", m[1])
		}
		ids[m[1]] = true
	}
	links := 0
	for _, m := range pageLink.FindAllStringSubmatch(body, -1) {
		target, here := strings.CutPrefix(m[1], "#")
		if here {
			links++
		}
		if here && !ids[target] {
			t.Errorf("%s leads nowhere", m[1])
		}
		if !here && !strings.HasPrefix(m[1], "/") {
			t.Errorf("%s leads to another site", m[1])
		}
	}
	if links < 50 {
		t.Errorf("there are %d links on the page, want one to each call and schema", links)
	}
	if r := s.get("/openapi.json"); r.status != http.StatusOK || r.header.Get("Content-Type") != "application/json" || r.body != string(openAPI) {
		t.Errorf("openapi.json = %d %v", r.status, r.header)
	}
	s.isGuarded("/docs")
}
