package web

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/lead"
	"github.com/leadmill/leadmill/schema"
)

// longestKey is the most characters of an Idempotency-Key.
const longestKey = 200

// accepted is the answer to a submission: it is stored and will be worked.
type accepted struct {
	ID        string `json:"id"`
	Status    string `json:"status"`
	StatusURL string `json:"status_url"`
}

// takeLead stores a submission and its job in one commit, and only then says 202. Who sends is looked up before the
// body is read.
func (s *Server) takeLead(w http.ResponseWriter, r *http.Request) {
	source, err := s.sourceOf(r)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	key, err := idempotencyKey(r)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	in, err := readSubmission(w, r)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	id, replayed, err := s.store(r.Context(), source, key, in)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	url := "/api/v1/intakes/" + strconv.FormatInt(id, 10)
	w.Header().Set("Location", url)
	if replayed {
		w.Header().Set("Idempotency-Replayed", "true")
	}
	answer(w, http.StatusAccepted, accepted{strconv.FormatInt(id, 10), string(lead.Accepted), url})
}

func (s *Server) sourceOf(r *http.Request) (source schema.Source, err error) {
	err = dbctx.Run(r.Context(), s.db, func(ctx context.Context, tx *dbctx.Tx) error {
		source, err = keyOf(ctx, tx, r)
		return err
	}, dbctx.ReadOnly())
	return source, err
}

func (s *Server) store(ctx context.Context, source schema.Source, key string, in submission) (id int64, replayed bool, err error) {
	sum := sha256.Sum256(in.raw)
	err = dbctx.Run(ctx, s.db, func(ctx context.Context, tx *dbctx.Tx) error {
		id, replayed, err = s.queue.Take(ctx, tx, schema.NewIntake{
			SourceID: source.ID, Key: key, Hash: hex.EncodeToString(sum[:]), Payload: string(in.payload),
		})
		return err
	})
	if errors.Is(err, schema.ErrKeyReused) {
		err = newProblem(http.StatusUnprocessableEntity, "this Idempotency-Key came with another body before")
	}
	return id, replayed, err
}

func idempotencyKey(r *http.Request) (string, error) {
	key := strings.TrimSpace(r.Header.Get("Idempotency-Key"))
	printable := !strings.ContainsFunc(key, func(c rune) bool { return c < ' ' || c > '~' })
	if len(key) > longestKey || !printable {
		return "", newProblem(http.StatusBadRequest, "an Idempotency-Key is at most 200 printable ASCII characters")
	}
	return key, nil
}

// intakeAnswer is what the sender may know of a submission.
type intakeAnswer struct {
	ID      string        `json:"id"`
	Status  lead.Verdict  `json:"status"`
	LeadID  *string       `json:"lead_id"`
	Reasons []lead.Reason `json:"reasons"`
}

// getIntake tells the verdict, to the source that sent it and to people.
func (s *Server) getIntake(w http.ResponseWriter, r *http.Request) {
	var in schema.Intake
	err := dbctx.Run(r.Context(), s.db, func(ctx context.Context, tx *dbctx.Tx) error {
		who, err := s.callerIn(ctx, tx, r)
		if err != nil {
			return err
		}
		if in, err = schema.GetIntake(ctx, tx, pathID(r)); err != nil {
			return err
		}
		if !who.person && in.SourceID != who.source.ID {
			return schema.ErrNotFound
		}
		return nil
	}, dbctx.ReadOnly())
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	answer(w, http.StatusOK, intakeAnswer{
		ID: strconv.FormatInt(in.ID, 10), Status: in.Status, LeadID: idOrNull(in.LeadID), Reasons: in.Reasons,
	})
}

// idOrNull writes an id as the API does, as a text; 0 is null.
func idOrNull(id int64) *string {
	if id == 0 {
		return nil
	}
	text := strconv.FormatInt(id, 10)
	return &text
}
