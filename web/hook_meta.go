package web

import (
	"context"
	"io"
	"net/http"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/jobs"
	"github.com/leadmill/leadmill/lead/hook"
	"github.com/leadmill/leadmill/schema"
)

// verifyMeta answers the handshake: whoever knows the verify token gets its challenge back.
func (s *Server) verifyMeta(w http.ResponseWriter, r *http.Request) {
	h, err := s.hookOf(r, hook.Meta)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	query := r.URL.Query()
	knows := isOneOf(jobs.HashKey(query.Get("hub.verify_token")), []string{h.VerifyHash})
	challenge := query.Get("hub.challenge")
	switch {
	case !knows || query.Get("hub.mode") != "subscribe":
		writeProblem(w, newProblem(http.StatusForbidden, "there is no such hook, or its verify token does not fit"))
	case !hook.IsChallenge(challenge):
		writeProblem(w, newProblem(http.StatusBadRequest, "hub.challenge is not 1 to 100 letters and digits"))
	default:
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		_, _ = io.WriteString(w, challenge)
	}
}

// takeMeta takes a notification. What it tells of is fetched later: Meta wants its answer at once.
func (s *Server) takeMeta(w http.ResponseWriter, r *http.Request) {
	if err := s.meta(w, r); err != nil {
		s.refuse(w, r, err)
		return
	}
	answer(w, http.StatusOK, struct{}{})
}

func (s *Server) meta(w http.ResponseWriter, r *http.Request) error {
	h, err := s.hookOf(r, hook.Meta)
	if err != nil {
		return err
	}
	raw, err := readHook(w, r)
	if err != nil {
		return err
	}
	if !hook.SignedByMeta(r.Header.Get("X-Hub-Signature-256"), raw, h.Secrets(s.now())...) {
		return errHook
	}
	changes, err := hook.Changes(raw)
	if err != nil {
		return newProblem(http.StatusBadRequest, err.Error())
	}
	if len(changes) == 0 {
		return nil
	}
	return s.storeChanges(r.Context(), h, changes)
}

// storeChanges takes in all leads of a notification, or none: Meta sends again what it is not told to be taken.
func (s *Server) storeChanges(ctx context.Context, h schema.Hook, changes []hook.Change) error {
	for _, c := range changes {
		if err := s.admitMessage(h, len(c.Notice)); err != nil {
			return err
		}
	}
	now := s.now()
	err := dbctx.Run(ctx, s.db, func(ctx context.Context, tx *dbctx.Tx) error {
		fresh, err := s.queue.TakeChanges(ctx, tx, h.SourceID, changes)
		if err != nil {
			return err
		}
		return s.queue.Spend(ctx, tx, h.SourceID, h.Limits, fresh)
	})
	return s.over.explain(h.SourceID, now, err)
}
