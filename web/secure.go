package web

import (
	"net"
	"net/http"
	"strings"
)

// What pages may load: our own files and nothing else. River UI sets styles in its markup and has pictures in its
// style sheet.
const (
	policyRest  = "; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
	pagePolicy  = "default-src 'self'" + policyRest
	riverPolicy = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:" + policyRest
)

// secure stands before everything: it sets the headers, refuses what changes something on behalf of another site (but
// for the two calls that look at the origin themselves, see cors.go), and without a log-in refuses every name but this
// machine's own, so that no page elsewhere can point a name here.
func (s *Server) secure(next http.Handler) http.Handler {
	guarded := s.sameOrigin(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", pagePolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "same-origin")
		if s.config.Dev && !thisMachine(r.Host) {
			turnAway(w, r, http.StatusMisdirectedRequest, "without a log-in this is served as 127.0.0.1, localhost or [::1] only")
			return
		}
		guarded.ServeHTTP(w, r)
	})
}

func (s *Server) sameOrigin(next http.Handler) http.Handler {
	protection := http.NewCrossOriginProtection()
	protection.AddInsecureBypassPattern("POST /api/v1/leads")
	protection.AddInsecureBypassPattern("POST /f/{form}")
	protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		turnAway(w, r, http.StatusForbidden, "the request comes from another site and changes nothing")
	}))
	return protection.Handler(next)
}

// turnAway answers before anybody has looked who asks: a program gets a problem, a person the sentence.
func turnAway(w http.ResponseWriter, r *http.Request, status int, why string) {
	if strings.HasPrefix(r.URL.Path, "/api/") || strings.HasPrefix(r.URL.Path, "/hooks/") {
		writeProblem(w, newProblem(status, why))
		return
	}
	http.Error(w, why, status)
}

// thisMachine says whether a Host header names the loopback, with any port.
func thisMachine(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	}
	return name == "127.0.0.1" || strings.EqualFold(name, "localhost") || name == "::1"
}
