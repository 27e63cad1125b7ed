package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/lead"
	"github.com/leadmill/leadmill/lead/contact"
	"github.com/leadmill/leadmill/lead/score"
	"github.com/leadmill/leadmill/schema"
)

func (a *app) leadsCommand() *cobra.Command {
	var q schema.LeadQuery
	list := a.jsonFlag(&cobra.Command{
		Use: "list", Short: "List leads, newest first", Args: cobra.NoArgs,
		Example: "  leadmill leads list --search lovelace --limit 20",
		RunE:    func(c *cobra.Command, _ []string) error { return a.leadsList(c.Context(), q) },
	})
	list.Flags().StringVar(&q.Search, "search", "", "beginning of a name, company, e-mail address or number")
	list.Flags().IntVar(&q.Limit, "limit", 50, "at most, up to 1000")
	show := a.jsonFlag(&cobra.Command{
		Use: "show ID_OR_EMAIL", Short: "Show a lead and its story", Args: cobra.ExactArgs(1),
		Example: "  leadmill leads show ada@example.com",
		RunE:    func(c *cobra.Command, args []string) error { return a.leadsShow(c.Context(), args[0]) },
	})
	return group("leads", "Look at leads", "  leadmill leads list", list, show)
}

// leadLine is a lead as listed.
type leadLine struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Email   string `json:"email"`
	Phone   string `json:"phone"`
	Company string `json:"company"`
	State   string `json:"state"`
	Score   int    `json:"score"`
	Owner   string `json:"owner"`
}

func (a *app) leadsList(ctx context.Context, q schema.LeadQuery) error {
	lines, rows := []leadLine{}, [][]string{}
	err := a.inScope(ctx, func(ctx context.Context, tx *dbctx.Tx) error {
		list, err := schema.ListLeads(ctx, tx, q)
		for _, l := range list {
			id := strconv.FormatInt(l.ID, 10)
			lines = append(lines, leadLine{id, l.Name, l.Email, l.Phone, l.Company, l.State, l.Score, l.Owner})
			rows = append(rows, []string{id, strconv.Itoa(l.Score), cut(l.Name, 20), cut(l.Email, 24), cut(l.Owner, 18)})
		}
		return err
	}, dbctx.ReadOnly())
	if err != nil {
		return err
	}
	return a.print(lines, func() { a.table([]string{"ID", "SCORE", "NAME", "EMAIL", "OWNER"}, rows) })
}

// story is a lead with everything that happened to it.
type story struct {
	ID          string                `json:"id"`
	State       string                `json:"state"`
	Score       int                   `json:"score"`
	Parts       []score.Part          `json:"parts"`
	Owner       string                `json:"owner"`
	OwnerReason string                `json:"owner_reason"`
	Submissions int                   `json:"submissions"`
	Fields      map[string]lead.Field `json:"fields"`
	Extra       map[string]any        `json:"extra"`
	Events      []storyEvent          `json:"events"`
}

type storyEvent struct {
	At    time.Time       `json:"at"`
	Kind  string          `json:"kind"`
	Actor string          `json:"actor"`
	Data  json.RawMessage `json:"data"`
}

func (a *app) leadsShow(ctx context.Context, which string) error {
	var s story
	err := a.inScope(ctx, func(ctx context.Context, tx *dbctx.Tx) error {
		id, err := leadID(ctx, tx, which)
		if err != nil {
			return err
		}
		s, err = readStory(ctx, tx, id)
		return err
	}, dbctx.ReadOnly())
	if err != nil {
		return err
	}
	return a.print(s, func() { a.tell(s) })
}

// leadID finds a lead by its id or its e-mail address.
func leadID(ctx context.Context, tx *dbctx.Tx, which string) (int64, error) {
	if id, err := strconv.ParseInt(which, 10, 64); err == nil {
		return id, nil
	}
	address, code := contact.Email(which)
	if code != "" {
		return 0, usagef("want the id or the e-mail address of a lead")
	}
	rows, err := schema.ListLeads(ctx, tx, schema.LeadQuery{EmailKey: contact.EmailKey(address), Limit: 1})
	if err != nil {
		return 0, err
	}
	if len(rows) == 0 {
		return 0, fmt.Errorf("lead of this address: %w", schema.ErrNotFound)
	}
	return rows[0].ID, nil
}

func readStory(ctx context.Context, tx *dbctx.Tx, id int64) (story, error) {
	l, err := schema.GetLead(ctx, tx, id)
	if err != nil {
		return story{}, err
	}
	s := story{
		ID: strconv.FormatInt(id, 10), State: l.State, Score: l.Score, Parts: l.Parts, Owner: l.Owner,
		OwnerReason: l.OwnerReason, Submissions: l.Submissions, Fields: l.Fields, Extra: l.Extra, Events: []storyEvent{},
	}
	events, err := schema.LeadEvents(ctx, tx, id)
	for _, e := range events {
		s.Events = append(s.Events, storyEvent{e.At, e.Kind, e.Actor, e.Data})
	}
	return s, err
}

func (a *app) tell(s story) {
	fmt.Fprintf(a.stdout, "lead %s, %s, score %d, %d submissions\n", s.ID, s.State, s.Score, s.Submissions)
	if s.Owner != "" {
		fmt.Fprintf(a.stdout, "owner %s: %s\n", s.Owner, s.OwnerReason)
	}
	rows := [][]string{}
	for _, name := range lead.FieldNames {
		if f, ok := s.Fields[name]; ok {
			rows = append(rows, []string{name, strings.ReplaceAll(f.Value, "\n", " "), cut(f.Source, 20)})
		}
	}
	fmt.Fprintln(a.stdout)
	a.table([]string{"FIELD", "VALUE", "FROM"}, rows)
	rows = [][]string{}
	for _, p := range s.Parts {
		rows = append(rows, []string{p.Name, fmt.Sprintf("%d of %d", p.Points, p.Max), p.Why})
	}
	fmt.Fprintln(a.stdout)
	a.table([]string{"SCORE", "POINTS", "WHY"}, rows)
	rows = [][]string{}
	for _, e := range s.Events {
		rows = append(rows, []string{when(&e.At), e.Kind, e.Actor})
	}
	fmt.Fprintln(a.stdout)
	a.table([]string{"AT", "EVENT", "BY"}, rows)
}
