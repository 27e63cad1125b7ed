package web

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/schema"
)

// failure is the page that says why there is no other.
type failure struct {
	Status       int
	Title, Cause string
}

var (
	forbidden   = failure{403, "Not allowed", "Your role may look, but not do this. An operator or an admin may."}
	notFound    = failure{404, "Not found", "There is nothing at this address, or it is gone."}
	broken      = failure{500, "Something broke", "The page could not be made. The log says why."}
	unavailable = failure{503, "The database is away", "Nothing is lost: what was accepted is stored. Try again in a few seconds."}
)

// fail answers with what went wrong. Who is not logged in is asked to.
func (s *Server) fail(w http.ResponseWriter, v visit) {
	switch {
	case v.r.Context().Err() != nil: // nobody listens any more
	case errors.Is(v.err, errLogin):
		askToLogin(w, v.r)
	case errors.Is(v.err, errForbidden):
		s.failWith(w, v, forbidden)
	case errors.Is(v.err, schema.ErrNotFound):
		s.failWith(w, v, notFound)
	case dbctx.IsUnavailable(v.err):
		s.log.Warn("database away", "path", v.r.URL.Path, "error", v.err)
		w.Header().Set("Retry-After", "5")
		s.failWith(w, v, unavailable)
	default:
		s.log.Error("request", "method", v.r.Method, "path", v.r.URL.Path, "error", v.err)
		s.failWith(w, v, broken)
	}
}

func (s *Server) failWith(w http.ResponseWriter, v visit, f failure) {
	s.render(w, v, f.Status, "error", view{Title: f.Title, Page: f})
}

// askToLogin leads to the form and from there back. htmx is told to go there as a whole, else it would put the form
// into the page.
func askToLogin(w http.ResponseWriter, r *http.Request) {
	login := "/login"
	switch {
	case r.Header.Get("HX-Request") != "":
		w.Header().Set("HX-Redirect", login)
		w.WriteHeader(http.StatusNoContent)
		return
	case r.Method == http.MethodGet && r.URL.Path != "/":
		login += "?" + url.Values{"next": {r.URL.RequestURI()}}.Encode()
	}
	http.Redirect(w, r, login, http.StatusSeeOther)
}

// nothingHere shows the navigation to who is logged in.
func (s *Server) nothingHere(w http.ResponseWriter, r *http.Request) {
	v := visit{r: r}
	v.user, v.err = s.whoami(r)
	v.known = v.err == nil
	s.failWith(w, v, notFound)
}
