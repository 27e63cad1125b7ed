package web

import (
	"context"
	"net/http"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/schema"
)

// importsPage is what was imported, and a form to import more.
type importsPage struct {
	Imports []schema.Import
	Sources []schema.Source // to choose from
	Limit   string          // of a file
	Source  string          // if none is chosen
	Error   string          // what was wrong with the upload before; "" nothing
	Pager   pager
}

func (s *Server) imports(w http.ResponseWriter, r *http.Request) {
	s.showImports(w, r, http.StatusOK, "")
}

func (s *Server) showImports(w http.ResponseWriter, r *http.Request, status int, complaint string) {
	p := importsPage{Error: complaint, Limit: bytesText(s.importLimit()), Source: uploadSource}
	v := s.read(r, anyone, func(ctx context.Context, tx *dbctx.Tx) error {
		rows, err := schema.ListImports(ctx, tx, id(r.URL.Query().Get("before")), pageRows+1)
		if err != nil {
			return err
		}
		var next int64
		p.Imports, next = cut(rows, func(m schema.Import) int64 { return m.ID })
		p.Pager = newPager(r, next)
		p.Sources, err = schema.ListSources(ctx, tx)
		return err
	})
	s.showWith(w, v, status, "imports", view{Title: "Imports", Tab: "/imports", Every: "2s", Page: p})
}
