package web

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

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
	id, replayed, err := s.take(w, r)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	a := acceptedAs(id)
	w.Header().Set("Location", a.StatusURL)
	if replayed {
		w.Header().Set("Idempotency-Replayed", "true")
	}
	answer(w, http.StatusAccepted, a)
}

func acceptedAs(id int64) accepted {
	text := strconv.FormatInt(id, 10)
	return accepted{text, string(lead.Accepted), "/api/v1/intakes/" + text}
}

func (s *Server) take(w http.ResponseWriter, r *http.Request) (id int64, replayed bool, err error) {
	from, err := s.senderOf(r)
	if err != nil {
		return 0, false, err
	}
	if err := s.admit(w, r, from.Source); err != nil {
		return 0, false, err
	}
	key, in, err := s.receive(w, r, from, bodyLimit)
	if err != nil {
		return 0, false, err
	}
	return s.store(r.Context(), from, key, in)
}

// receive reads what a sender sends, of at most limit bytes unless the source has a limit of its own.
func (s *Server) receive(w http.ResponseWriter, r *http.Request, from *sender, limit int) (key string, in submission, err error) {
	if key, err = idempotencyKey(r); err != nil {
		return key, in, err
	}
	if err := s.over.check(from.ID, from.Limits, s.now()); err != nil {
		return key, in, err
	}
	in, err = readSubmission(w, r, cmp.Or(from.Limits.MaxBytes, limit))
	return key, in, err
}

func (s *Server) store(ctx context.Context, from *sender, key string, sent submission) (id int64, replayed bool, err error) {
	now := s.now()
	// The payload is what must not change under a key: a form that is sent again has another boundary each time.
	in := schema.NewIntake{SourceID: from.ID, Key: key, Hash: hash(sent.payload), Payload: string(sent.payload),
		Suspicion: suspicion(from.Form, sent.members, now)}
	err = dbctx.Run(ctx, s.db, func(ctx context.Context, tx *dbctx.Tx) error {
		from.markUsed(tx, now.UTC())
		id, replayed, err = s.queue.Take(ctx, tx, in)
		if err != nil || replayed {
			return err
		}
		return s.queue.Spend(ctx, tx, from.ID, from.Limits, 1)
	})
	return id, replayed, s.whyNotStored(from, now, err)
}

// whyNotStored turns what the sender can mend into a problem.
func (s *Server) whyNotStored(from *sender, now time.Time, err error) error {
	if errors.Is(err, schema.ErrKeyReused) {
		return newProblem(http.StatusUnprocessableEntity, "this Idempotency-Key came with another body before")
	}
	return s.over.explain(from.ID, now, err)
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
