package web

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/leadmill/leadmill/lead"
	"github.com/leadmill/leadmill/lead/intake"
	"github.com/leadmill/leadmill/lead/weburl"
	"github.com/leadmill/leadmill/schema"
)

// A form on a page cannot keep a key. It has an address instead, which everybody may read and which can do one thing: add a
// lead. Who fills it with rubbish is slowed down by the address they come from and by the limits of the source.

// formLimitBytes is the most bytes of what a form sends, unless its source has a limit of its own.
const formLimitBytes = 64 << 10

var (
	errNoForm   = newProblem(http.StatusNotFound, "there is no form at this address")
	errRedirect = newProblem(http.StatusUnprocessableEntity, "the form leads to a place that its source does not list",
		lead.Reason{Field: intake.RedirectField, Code: "not_listed", Message: "The source does not list this address."})
)

// formAnswer says that it was taken. An id would tell strangers how much comes in.
type formAnswer struct {
	Status string `json:"status"`
}

// takeForm stores what a form sends, as takeLead does, and then leads a person on: to where the form says, or to our thanks.
func (s *Server) takeForm(w http.ResponseWriter, r *http.Request) {
	next, err := s.takeFromForm(w, r)
	switch {
	case err != nil:
		s.refuseForm(w, r, err)
	case next != "":
		redirectAway(w, next)
	case wantsPage(r):
		redirectAway(w, "/f/"+r.PathValue("form")+"/thanks")
	default:
		answer(w, http.StatusAccepted, formAnswer{string(lead.Accepted)})
	}
}

func (s *Server) takeFromForm(w http.ResponseWriter, r *http.Request) (next string, err error) {
	from, err := s.formSender(w, r) // first: a script on another site can read no refusal, and no Retry-After, before
	if err != nil {
		return "", err
	}
	if wait := s.formTries.take(clientOf(r), s.now()); wait > 0 {
		p := newProblem(http.StatusTooManyRequests, "too much comes from this address")
		p.retryAfter = wait
		return "", p
	}
	key, in, err := s.receive(w, r, from, formLimitBytes)
	if err != nil {
		return "", err
	}
	if wish := intake.Text(in.members, intake.RedirectField); wish != "" {
		var listed bool
		if next, listed = weburl.Target(wish, from.Redirects); !listed {
			return "", errRedirect
		}
	}
	if key != "" {
		key = "form/" + key // a stranger must not take, or find out, the keys of those who send with a source's key
	}
	_, replayed, err := s.store(r.Context(), from, key, in)
	if replayed {
		w.Header().Set("Idempotency-Replayed", "true")
	}
	return next, err
}

// formSender finds the source of a form and lets the page it stands on in.
func (s *Server) formSender(w http.ResponseWriter, r *http.Request) (*sender, error) {
	from, err := s.senderByForm(r)
	if errors.Is(err, schema.ErrNotFound) {
		return nil, errNoForm
	}
	if err != nil {
		return nil, err
	}
	return from, s.admitForm(w, r, from.Source)
}

// formToken says, signed, that a form is being opened now; the form sends it back in the field _started. A script of
// the page asks for it, so any page that may send may read it.
func (s *Server) formToken(w http.ResponseWriter, r *http.Request) {
	from, err := s.formSender(w, r)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	writeBody(w, http.StatusOK, "text/plain; charset=utf-8", []byte(intake.StartToken(from.Form.Secret, s.now())))
}

// formThanks is where a form leads to that does not say where. It shows nothing of what was sent.
func (s *Server) formThanks(w http.ResponseWriter, r *http.Request) {
	s.render(w, visit{r: r}, http.StatusOK, "thanks", view{Title: "Thank you"})
}

// refuseForm tells a person on a page, and a program by a problem, why nothing was taken.
func (s *Server) refuseForm(w http.ResponseWriter, r *http.Request, err error) {
	p := s.problemOf(r, err)
	if !wantsPage(r) {
		writeProblem(w, p)
		return
	}
	sayWhen(w, p)
	cause := strings.ToUpper(p.Detail[:1]) + p.Detail[1:] + "."
	for _, reason := range p.Errors {
		cause += fmt.Sprintf(" %s: %s", reason.Field, reason.Message)
	}
	s.failWith(w, visit{r: r}, failure{p.Status, "This was not sent", cause})
}

// wantsPage says that a browser has left its page for ours, in contrast to a script that stays.
func wantsPage(r *http.Request) bool { return strings.Contains(r.Header.Get("Accept"), "text/html") }

// redirectAway answers a form: the browser gets the next page, and reloading that sends nothing again.
func redirectAway(w http.ResponseWriter, next string) {
	w.Header().Set("Location", next)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusSeeOther)
}

// clientOf is addressOf, but for what a proxy in our own network passes on: then it is the address that the proxy saw, which
// it has added last to X-Forwarded-For. Who is in our network can make it up, and gains a limit of their own.
func clientOf(r *http.Request) string {
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	peer, err := netip.ParseAddr(host)
	if err != nil || !peer.IsLoopback() && !peer.Unmap().IsPrivate() {
		return addressOf(r)
	}
	chain := r.Header.Values("X-Forwarded-For")
	if len(chain) == 0 {
		return addressOf(r)
	}
	last := chain[len(chain)-1]
	seen, err := netip.ParseAddr(strings.TrimSpace(last[strings.LastIndexByte(last, ',')+1:]))
	if err != nil {
		return addressOf(r)
	}
	return networkOf(seen)
}
