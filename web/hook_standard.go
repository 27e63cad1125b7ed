package web

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/leadmill/leadmill/lead"
	"github.com/leadmill/leadmill/lead/hook"
	"github.com/leadmill/leadmill/lead/intake"
)

// takeStandard takes a message of Standard Webhooks. One that comes again, because its answer was lost or because somebody
// recorded it, is answered as the first time and adds nothing.
func (s *Server) takeStandard(w http.ResponseWriter, r *http.Request) {
	id, repeated, err := s.standard(w, r)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	url := "/api/v1/intakes/" + strconv.FormatInt(id, 10)
	w.Header().Set("Location", url)
	replayed(w, repeated)
	answer(w, http.StatusAccepted, accepted{strconv.FormatInt(id, 10), string(lead.Accepted), url})
}

func (s *Server) standard(w http.ResponseWriter, r *http.Request) (id int64, repeated bool, err error) {
	h, err := s.hookOf(r, hook.Standard)
	if err != nil {
		return 0, false, err
	}
	raw, err := readHook(w, r)
	if err != nil {
		return 0, false, err
	}
	headers := hook.Headers{
		ID: r.Header.Get("Webhook-Id"), Timestamp: r.Header.Get("Webhook-Timestamp"), Signature: r.Header.Get("Webhook-Signature"),
	}
	now := s.now()
	if err := headers.Verify(raw, now, h.Secrets(now)...); err != nil {
		return 0, false, unverified(err)
	}
	if _, err := intake.Decode(raw); err != nil {
		return 0, false, newProblem(http.StatusBadRequest, "the body is not one JSON object of at most 500 keys")
	}
	return s.storeMessage(r.Context(), h, headers.ID, raw, raw)
}

// unverified tells what is malformed from what does not show who sent it.
func unverified(err error) error {
	if errors.Is(err, hook.ErrHeaders) || errors.Is(err, hook.ErrTimestamp) {
		return newProblem(http.StatusBadRequest, err.Error())
	}
	return newProblem(http.StatusUnauthorized, err.Error())
}
