package web

import (
	"context"
	"net/http"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/schema"
)

func (s *Server) imports(w http.ResponseWriter, r *http.Request) {
	var list []schema.Import
	v := s.read(r, anyone, func(ctx context.Context, tx *dbctx.Tx) (err error) {
		list, err = schema.ListImports(ctx, tx, 0, 100)
		return err
	})
	s.show(w, v, "imports", view{Title: "Imports", Tab: "/imports", Every: "2s", Page: list})
}
