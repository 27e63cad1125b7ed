package web

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/schema"
)

// destinationRow is a destination without its secrets.
type destinationRow struct {
	Name, Address        string
	Active, AllowPrivate bool
	StoppedReason        string
	NotIdempotent        bool
	Limits               string // "" none
	CreatedAt            time.Time
}

func (s *Server) destinations(w http.ResponseWriter, r *http.Request) {
	var rows []destinationRow
	v := s.read(r, anyone, func(ctx context.Context, tx *dbctx.Tx) error {
		list, err := schema.ListDestinations(ctx, tx)
		rows = make([]destinationRow, 0, len(list))
		for _, d := range list {
			rows = append(rows, destinationRow{d.Name, address(d.URL), d.Active, d.AllowPrivate, d.StoppedReason, d.NotIdempotent, d.Limits(), d.CreatedAt})
		}
		return err
	})
	s.show(w, v, "destinations", view{Title: "Destinations", Tab: "/destinations", Every: "10s", Page: rows})
}

// address is a URL without user, query and fragment, where secrets are.
func address(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "a URL that cannot be read"
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	return u.String()
}
