package web

import (
	"context"
	"net/http"
	"slices"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/schema"
)

// Pages of other sites may send leads and nothing else, in two ways: with a key, to a source that lists their origin, and
// through a form. No answer lets a browser send cookies along.

var errCrossSite = newProblem(http.StatusForbidden, "the request comes from a page of another site, which this source does not list")

// admit lets a page of another site send with a key if the source lists its origin, and tells its browser so. What is
// no page, or one of ours, is let in.
func (s *Server) admit(w http.ResponseWriter, r *http.Request, source schema.Source) error {
	origin := r.Header.Get("Origin")
	w.Header().Add("Vary", "Origin")
	if slices.Contains(source.Origins, origin) {
		allowOrigin(w, origin)
		return nil
	}
	if s.crossSite.Check(r) != nil {
		return errCrossSite
	}
	return nil
}

// admitForm is admit for a form: with no origins listed any page may send, since the form's address is public.
func (s *Server) admitForm(w http.ResponseWriter, r *http.Request, source schema.Source) error {
	if len(source.Origins) > 0 {
		return s.admit(w, r, source)
	}
	allowOrigin(w, "*")
	return nil
}

func allowOrigin(w http.ResponseWriter, origin string) {
	w.Header().Set("Access-Control-Allow-Origin", origin)
	w.Header().Set("Access-Control-Expose-Headers", "Idempotency-Replayed, Location, Retry-After")
}

// preflight answers a browser that asks before a page of another site may send with a key. The key is not shown yet, so
// it is enough that some source lists the origin.
func (s *Server) preflight(w http.ResponseWriter, r *http.Request) {
	var all []string
	err := dbctx.Run(r.Context(), s.db, func(ctx context.Context, tx *dbctx.Tx) (err error) {
		all, err = schema.AllOrigins(ctx, tx)
		return err
	}, dbctx.ReadOnly())
	if err == nil {
		err = s.admit(w, r, schema.Source{Origins: all})
	}
	s.answerPreflight(w, r, err)
}

func (s *Server) preflightForm(w http.ResponseWriter, r *http.Request) {
	from, err := s.senderByForm(r)
	if err == nil {
		err = s.admitForm(w, r, from.Source)
	}
	s.answerPreflight(w, r, err)
}

// answerPreflight says what a page may send. Without the header that names the origin its browser sends nothing.
func (s *Server) answerPreflight(w http.ResponseWriter, r *http.Request, err error) {
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	if w.Header().Get("Access-Control-Allow-Origin") != "" {
		w.Header().Set("Access-Control-Allow-Methods", "POST")
		w.Header().Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Idempotency-Key")
		w.Header().Set("Access-Control-Max-Age", "600")
	}
	w.WriteHeader(http.StatusNoContent)
}
