package web

import (
	"crypto/subtle"
	"net/http"

	"github.com/leadmill/leadmill/jobs"
	"github.com/leadmill/leadmill/lead/hook"
)

// takeGoogle takes a lead of a Google Ads lead form. Google shows the key in the body, sends a lead again until it is
// answered 2xx, and tells leads apart by lead_id.
func (s *Server) takeGoogle(w http.ResponseWriter, r *http.Request) {
	repeated, err := s.google(w, r)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	replayed(w, repeated)
	answer(w, http.StatusOK, struct{}{})
}

func (s *Server) google(w http.ResponseWriter, r *http.Request) (repeated bool, err error) {
	h, err := s.hookOf(r, hook.Google)
	if err != nil {
		return false, err
	}
	raw, err := readHook(w, r)
	if err != nil {
		return false, err
	}
	g, wrong, err := hook.OpenGoogle(raw)
	if err != nil {
		return false, newProblem(http.StatusBadRequest, "the body is not one JSON object of at most 500 keys")
	}
	if !isOneOf(jobs.HashKey(g.Key), h.Secrets(s.now())) {
		return false, errHook
	}
	if len(wrong) > 0 {
		return false, newProblem(http.StatusUnprocessableEntity, "some fields are not as Google Ads sends them", wrong...)
	}
	_, repeated, err = s.storeMessage(r.Context(), h, g.ID, raw, g.Payload)
	return repeated, err
}

// isOneOf compares hashes in constant time.
func isOneOf(hash string, hashes []string) bool {
	fits := 0
	for _, h := range hashes {
		fits |= subtle.ConstantTimeCompare([]byte(hash), []byte(h))
	}
	return fits == 1
}
