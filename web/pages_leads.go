package web

import (
	"context"
	"net/http"
	"strings"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/schema"
)

type leadsPage struct {
	Search string
	Leads  []schema.LeadRow
	Pager  pager
}

func (s *Server) leads(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	p := leadsPage{Search: searchText(query.Get("q"))}
	v := s.read(r, anyone, func(ctx context.Context, tx *dbctx.Tx) error {
		rows, err := schema.ListLeads(ctx, tx, schema.LeadQuery{
			Search: p.Search, Before: id(query.Get("before")), Limit: pageRows + 1,
		})
		var next int64
		p.Leads, next = cut(rows, func(l schema.LeadRow) int64 { return l.ID })
		p.Pager = newPager(r, next)
		return err
	})
	s.show(w, v, "leads", view{Title: "Leads", Tab: "/leads", Every: "5s", Page: p})
}

// searchText is what was typed, as much of it as anything that is looked for can be long.
func searchText(typed string) string {
	runes := []rune(strings.TrimSpace(typed))
	return string(runes[:min(len(runes), 254)])
}
