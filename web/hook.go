package web

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/jobs"
	"github.com/leadmill/leadmill/lead/hook"
	"github.com/leadmill/leadmill/schema"
)

// errHook is the answer to whoever does not show that it is the platform. Whether there is such a source, and whether it
// has such a hook, is not told.
var errHook = newProblem(http.StatusUnauthorized, "there is no such hook, or its key or signature does not fit")

// hookOf returns the hook of the source that a request names. Where there is none it is a decoy: it takes the same way
// as any other, and nothing fits it.
func (s *Server) hookOf(r *http.Request, kind string) (h schema.Hook, err error) {
	source := r.PathValue("source")
	if !jobs.ValidName(source) {
		return decoy(kind), nil
	}
	err = dbctx.Run(r.Context(), s.db, func(ctx context.Context, tx *dbctx.Tx) error {
		h, err = schema.HookOf(ctx, tx, kind, source)
		return err
	}, dbctx.ReadOnly())
	if errors.Is(err, schema.ErrNotFound) {
		return decoy(kind), nil
	}
	return h, err
}

// decoy is a hook whose secrets nobody knows.
func decoy(kind string) schema.Hook {
	h := schema.Hook{Kind: kind, Secret: rand.Text(), VerifyHash: jobs.HashKey(rand.Text())}
	switch kind {
	case hook.Google:
		h.Secret = jobs.HashKey(h.Secret)
	case hook.Standard:
		h.Secret = jobs.NewSecret()
	}
	return h
}

// readHook reads a body that is small enough and a text.
func readHook(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, bodyLimit))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, tooLong(bodyLimit)
	case err != nil:
		return nil, newProblem(http.StatusBadRequest, "the body did not arrive whole")
	case !utf8.Valid(raw):
		return nil, newProblem(http.StatusBadRequest, "the body is not valid UTF-8")
	}
	return raw, nil
}

// storeMessage takes in what a platform posted under an id of its own. raw is the body as it came, payload what of it
// is stored.
func (s *Server) storeMessage(ctx context.Context, h schema.Hook, ref string, raw, payload []byte) (id int64, repeated bool, err error) {
	if err := s.admitMessage(h, len(raw)); err != nil {
		return 0, false, err
	}
	now := s.now()
	err = dbctx.Run(ctx, s.db, func(ctx context.Context, tx *dbctx.Tx) error {
		id, repeated, err = s.queue.TakeMessage(ctx, tx, schema.NewIntake{
			SourceID: h.SourceID, Key: h.Kind + ":" + ref, Hash: hash(raw), Payload: string(payload), Format: h.Kind,
		})
		if err != nil || repeated {
			return err
		}
		return s.queue.Spend(ctx, tx, h.SourceID, h.Limits, 1)
	})
	return id, repeated, s.over.explain(h.SourceID, now, err)
}

// admitMessage holds a message of so many bytes against the limits of its source. Ask when it is known who sent it:
// strangers are not to learn from a limit that there is a source.
func (s *Server) admitMessage(h schema.Hook, size int) error {
	if most := h.Limits.MaxBytes; most > 0 && size > most {
		return tooLong(most)
	}
	return s.over.check(h.SourceID, h.Limits, s.now())
}

func tooLong(most int) error {
	return newProblem(http.StatusRequestEntityTooLarge, fmt.Sprintf("a message is at most %d bytes", most))
}

// replayed tells a sender that its message was taken before.
func replayed(w http.ResponseWriter, repeated bool) {
	if repeated {
		w.Header().Set("Idempotency-Replayed", "true")
	}
}

// noSuchHook answers for other kinds and wrong methods.
func (s *Server) noSuchHook(w http.ResponseWriter, r *http.Request) {
	allow := "POST"
	switch r.PathValue("kind") {
	case hook.Meta:
		allow = "GET, POST"
	case hook.Google, hook.Standard:
	default:
		s.noSuchCall(w, r)
		return
	}
	w.Header().Set("Allow", allow)
	writeProblem(w, newProblem(http.StatusMethodNotAllowed, "want "+strings.ReplaceAll(allow, ", ", " or ")))
}
