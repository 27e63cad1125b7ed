package web

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/lead"
	"github.com/leadmill/leadmill/schema"
)

// batchAnswer has a verdict for each item, in their order.
type batchAnswer struct {
	Items    []itemAnswer `json:"items"`
	Accepted int          `json:"accepted"`
	Refused  int          `json:"refused"`
}

// itemAnswer is accepted, with an id, or refused, with reasons.
type itemAnswer struct {
	Index     int           `json:"index"`
	ID        string        `json:"id,omitempty"`
	Status    string        `json:"status"`
	StatusURL string        `json:"status_url,omitempty"`
	Reasons   []lead.Reason `json:"reasons,omitempty"`
}

// takeBatch stores up to a thousand submissions and their jobs in one commit, and only then says 202. An item that is
// refused does not keep the others out.
func (s *Server) takeBatch(w http.ResponseWriter, r *http.Request) {
	body, replayed, err := s.takeItems(w, r)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	if replayed {
		w.Header().Set("Idempotency-Replayed", "true")
	}
	writeBody(w, http.StatusAccepted, "application/json", []byte(body))
}

func (s *Server) takeItems(w http.ResponseWriter, r *http.Request) (answer string, replayed bool, err error) {
	from, err := s.senderOf(r)
	if err != nil {
		return "", false, err
	}
	key, err := idempotencyKey(r)
	if err != nil {
		return "", false, err
	}
	if err := s.over.check(from.ID, from.Limits, s.now()); err != nil {
		return "", false, err
	}
	raw, items, err := readBatch(w, r)
	if err != nil {
		return "", false, err
	}
	return s.storeBatch(r.Context(), from, batch{key: key, hash: hash(raw), items: s.examine(from, items)})
}

// batch is one that can be stored.
type batch struct {
	key, hash string
	items     []item
}

// item of a batch: what is stored of it, or why nothing is.
type item struct {
	in      schema.NewIntake
	reasons []lead.Reason // none: it is taken
}

// examine looks at each item once.
func (s *Server) examine(from *sender, payloads [][]byte) []item {
	limit, now := itemLimit, s.now()
	if most := from.Limits.MaxBytes; most > 0 {
		limit = min(limit, most)
	}
	items := make([]item, len(payloads))
	for i, payload := range payloads {
		if len(payload) > limit {
			items[i].reasons = []lead.Reason{{Code: "too_large", Message: "The submission is larger than this source may send."}}
			continue
		}
		members, err := check(payload)
		if err != nil {
			items[i].reasons = reasonsOf(err)
			continue
		}
		items[i].in = schema.NewIntake{SourceID: from.ID, Hash: hash(payload), Payload: string(payload),
			Suspicion: suspicion(from.Form, members, now), Row: int64(i + 1)}
	}
	return items
}

// reasonsOf are those of a problem; one that names no field is its own reason.
func reasonsOf(err error) []lead.Reason {
	var p *problem
	if errors.As(err, &p) && len(p.Errors) > 0 {
		return p.Errors
	}
	return []lead.Reason{{Code: "malformed", Message: "The submission is not one JSON object of at most 500 keys in UTF-8."}}
}

func (s *Server) storeBatch(ctx context.Context, from *sender, b batch) (answer string, replayed bool, err error) {
	now := s.now()
	err = dbctx.Run(ctx, s.db, func(ctx context.Context, tx *dbctx.Tx) error {
		from.markUsed(tx, now.UTC())
		if b.key != "" {
			if answer, replayed, err = schema.BeginBatch(ctx, tx, from.ID, b.key, b.hash, now.UTC()); err != nil || replayed {
				return err
			}
		}
		ids, err := s.queue.TakeBatch(ctx, tx, b.taken())
		if err != nil {
			return err
		}
		answer = b.answer(ids)
		if b.key != "" {
			schema.AnswerBatch(tx, from.ID, b.key, answer)
		}
		return s.queue.Spend(ctx, tx, from.ID, from.Limits, len(ids))
	})
	return answer, replayed, s.whyNotStored(from, now, err)
}

func (b batch) taken() (rows []schema.NewIntake) {
	for _, i := range b.items {
		if i.reasons == nil {
			rows = append(rows, i.in)
		}
	}
	return rows
}

// answer has the ids of what was taken, in order.
func (b batch) answer(ids []int64) string {
	a := batchAnswer{Items: make([]itemAnswer, len(b.items)), Accepted: len(ids), Refused: len(b.items) - len(ids)}
	for n, i := range b.items {
		if i.reasons != nil {
			a.Items[n] = itemAnswer{Index: n, Status: "refused", Reasons: i.reasons}
			continue
		}
		one := acceptedAs(ids[0])
		a.Items[n] = itemAnswer{Index: n, ID: one.ID, Status: one.Status, StatusURL: one.StatusURL}
		ids = ids[1:]
	}
	text, err := json.Marshal(a)
	if err != nil {
		panic(err) // our own structs can be marshalled
	}
	return string(text)
}
