package web

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/leadmill/leadmill/dbctx"
)

// openUI prepares River UI, which shows and changes every job.
func (s *Server) openUI() (err error) {
	s.ui, err = s.queue.UI("/jobs")
	return err
}

// riverUI stands before it, since it asks nobody who they are.
func (s *Server) riverUI() http.Handler {
	return s.sameOrigin(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := s.read(r, mayOperate, func(context.Context, *dbctx.Tx) error { return nil })
		switch {
		case errors.Is(v.err, errLogin) && strings.HasPrefix(r.URL.Path, "/jobs/api/"):
			http.Error(w, "Log in first.", http.StatusUnauthorized)
		case v.err != nil:
			s.fail(w, v)
		default:
			w.Header().Set("Content-Security-Policy", riverPolicy)
			s.ui.ServeHTTP(w, r)
		}
	}))
}
