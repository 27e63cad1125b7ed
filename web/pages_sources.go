package web

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/schema"
)

// sourceRow is a source without its secrets.
type sourceRow struct {
	Name, Country, Limits, Hooks, Origins, Redirects string // "" none
	Snippet                                          string // the HTML of its form; "" it has none
	CreatedAt                                        time.Time
}

func (s *Server) sources(w http.ResponseWriter, r *http.Request) {
	var rows []sourceRow
	v := s.read(r, anyone, func(ctx context.Context, tx *dbctx.Tx) error {
		list, err := schema.ListSources(ctx, tx)
		if err != nil {
			return err
		}
		hooks, err := hooksBySource(ctx, tx)
		rows = make([]sourceRow, len(list))
		for i, source := range list {
			rows[i] = sourceRow{source.Name, source.Country, source.Limits.String(), strings.Join(hooks[source.ID], ", "), strings.Join(source.Origins, ", "),
				strings.Join(source.Redirects, ", "), "", source.CreatedAt}
			if source.Form.ID != "" {
				rows[i].Snippet = FormSnippet(s.baseOf(r), source)
			}
		}
		return err
	})
	s.show(w, v, "sources", view{Title: "Sources", Tab: "/sources", Page: rows})
}

// hooksBySource are the kinds of the hooks that sources have.
func hooksBySource(ctx context.Context, tx *dbctx.Tx) (map[int64][]string, error) {
	hooks, err := schema.ListHooks(ctx, tx)
	kinds := map[int64][]string{}
	for _, h := range hooks {
		kinds[h.SourceID] = append(kinds[h.SourceID], h.Kind)
	}
	return kinds, err
}

// baseOf is the address that the visitor of a page reaches us at.
func (s *Server) baseOf(r *http.Request) string {
	if s.config.Secure || r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}
