package web

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/lead"
	"github.com/leadmill/leadmill/lead/contact"
	"github.com/leadmill/leadmill/lead/score"
	"github.com/leadmill/leadmill/schema"
)

// leadAnswer is a lead: the plain values, and behind them where each came from.
type leadAnswer struct {
	ID          string                `json:"id"`
	State       string                `json:"state"`
	Values      map[string]string     `json:"-"` // by field name, at the top level
	Score       int                   `json:"score"`
	Parts       []score.Part          `json:"parts"`
	Owner       *string               `json:"owner"`
	OwnerReason string                `json:"owner_reason"`
	Fields      map[string]lead.Field `json:"fields"`
	Extra       map[string]any        `json:"extra"`
	Submissions int                   `json:"submissions"`
	CreatedAt   time.Time             `json:"created_at"`
	UpdatedAt   time.Time             `json:"updated_at"`
}

// MarshalJSON puts the plain values beside the rest.
func (a leadAnswer) MarshalJSON() ([]byte, error) {
	type plain leadAnswer
	body, err := json.Marshal(plain(a))
	if err != nil || len(a.Values) == 0 {
		return body, err
	}
	values, err := json.Marshal(a.Values)
	return append(append(body[:len(body)-1], ','), values[1:]...), err
}

func newLeadAnswer(l schema.Lead) leadAnswer {
	a := leadAnswer{
		ID: strconv.FormatInt(l.ID, 10), State: l.State, Values: map[string]string{}, Score: l.Score, Parts: l.Parts,
		OwnerReason: l.OwnerReason, Fields: l.Fields, Extra: l.Extra, Submissions: l.Submissions,
		CreatedAt: l.CreatedAt, UpdatedAt: l.UpdatedAt,
	}
	if l.Owner != "" {
		a.Owner = &l.Owner
	}
	for _, name := range lead.FieldNames {
		if value := l.Value(name); value != "" {
			a.Values[name] = value
		}
	}
	return a
}

// seen runs fn for a lead that the caller may see: any for a person; for a source one that it sent something to.
func (s *Server) seen(r *http.Request, fn func(ctx context.Context, tx *dbctx.Tx, id int64) error) error {
	return dbctx.Run(r.Context(), s.db, func(ctx context.Context, tx *dbctx.Tx) error {
		who, err := s.callerIn(ctx, tx, r)
		if err != nil {
			return err
		}
		id := pathID(r)
		if who.person {
			return fn(ctx, tx, id)
		}
		has, err := schema.SourceHasLead(ctx, tx, who.source.ID, id)
		if err == nil && !has {
			err = schema.ErrNotFound
		}
		if err != nil {
			return err
		}
		return fn(ctx, tx, id)
	}, dbctx.ReadOnly())
}

func (s *Server) getLead(w http.ResponseWriter, r *http.Request) {
	var l schema.Lead
	err := s.seen(r, func(ctx context.Context, tx *dbctx.Tx, id int64) (err error) {
		l, err = schema.GetLead(ctx, tx, id)
		return err
	})
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	answer(w, http.StatusOK, newLeadAnswer(l))
}

// eventAnswer is one step of a lead's story.
type eventAnswer struct {
	ID    string          `json:"id"`
	At    time.Time       `json:"at"`
	Kind  string          `json:"kind"`
	Actor string          `json:"actor"`
	Data  json.RawMessage `json:"data"`
}

func (s *Server) getEvents(w http.ResponseWriter, r *http.Request) {
	events := []eventAnswer{}
	err := s.seen(r, func(ctx context.Context, tx *dbctx.Tx, id int64) error {
		if _, err := schema.GetLead(ctx, tx, id); err != nil {
			return err
		}
		list, err := schema.LeadEvents(ctx, tx, id)
		for _, e := range list {
			events = append(events, eventAnswer{strconv.FormatInt(e.ID, 10), e.At, e.Kind, e.Actor, e.Data})
		}
		return err
	})
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	answer(w, http.StatusOK, map[string]any{"events": events})
}

// leadItem is a lead in a list.
type leadItem struct {
	ID          string    `json:"id"`
	State       string    `json:"state"`
	Name        string    `json:"name"`
	Email       string    `json:"email"`
	Phone       string    `json:"phone"`
	Company     string    `json:"company"`
	Country     string    `json:"country"`
	Score       int       `json:"score"`
	Owner       *string   `json:"owner"`
	Submissions int       `json:"submissions"`
	CreatedAt   time.Time `json:"created_at"`
}

// Lengths of a page.
const (
	defaultLimit = 50
	largestLimit = 200
)

// listLeads pages through leads, newest first; next is the cursor of the page after, null at the end.
func (s *Server) listLeads(w http.ResponseWriter, r *http.Request) {
	q, err := leadQuery(r)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	limit := q.Limit
	q.Limit++ // one more than shown tells whether there is a next page
	var rows []schema.LeadRow
	err = dbctx.Run(r.Context(), s.db, func(ctx context.Context, tx *dbctx.Tx) error {
		who, err := s.callerIn(ctx, tx, r)
		if err != nil {
			return err
		}
		q.SourceID = who.source.ID
		rows, err = schema.ListLeads(ctx, tx, q)
		return err
	}, dbctx.ReadOnly())
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	var next *string
	if len(rows) > limit {
		rows = rows[:limit]
		next = idOrNull(rows[limit-1].ID)
	}
	answer(w, http.StatusOK, map[string]any{"leads": leadItems(rows), "next": next})
}

func leadItems(rows []schema.LeadRow) []leadItem {
	items := make([]leadItem, len(rows))
	for i, l := range rows {
		items[i] = leadItem{
			ID: strconv.FormatInt(l.ID, 10), State: l.State, Name: l.Name, Email: l.Email, Phone: l.Phone, Company: l.Company,
			Country: l.Country, Score: l.Score, Submissions: l.Submissions, CreatedAt: l.CreatedAt,
		}
		if l.Owner != "" {
			items[i].Owner = &l.Owner
		}
	}
	return items
}

// leadQuery reads email, cursor and limit. The error is a problem.
func leadQuery(r *http.Request) (schema.LeadQuery, error) {
	values := r.URL.Query()
	q := schema.LeadQuery{Limit: defaultLimit}
	if email := values.Get("email"); email != "" {
		address, code := contact.Email(email)
		if code != "" {
			return q, newProblem(http.StatusBadRequest, "email is not an e-mail address")
		}
		q.EmailKey = contact.EmailKey(address)
	}
	var err error
	if text := values.Get("limit"); text != "" {
		if q.Limit, err = strconv.Atoi(text); err != nil || q.Limit < 1 || q.Limit > largestLimit {
			return q, newProblem(http.StatusBadRequest, "limit is a number from 1 to 200")
		}
	}
	if text := values.Get("cursor"); text != "" {
		if q.Before, err = strconv.ParseInt(text, 10, 64); err != nil || q.Before < 1 {
			return q, newProblem(http.StatusBadRequest, "cursor is what the page before called next")
		}
	}
	return q, nil
}
