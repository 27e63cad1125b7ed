package jobs

import (
	"context"
	"slices"

	"github.com/leadmill/leadmill/lead"
	"github.com/leadmill/leadmill/lead/contact"
	"github.com/leadmill/leadmill/lead/hook"
	"github.com/leadmill/leadmill/lead/intake"
	"github.com/leadmill/leadmill/lead/match"
	"github.com/leadmill/leadmill/schema"
)

// batch is what process_leads carries from step to step. Every slice is in order of intake ids.
type batch struct {
	s       *Scope
	intakes []schema.Intake
	cleaned map[int64]lead.Clean // accepted intakes only
	settled []schema.Settled
	matches []match.Assignment
	leads   map[int64]*schema.Lead // touched by this batch
	isNew   map[int64]bool
	latest  map[int64]int64 // lead: the last intake it absorbed
	order   []int64         // of leads, as they were touched
	events  []schema.NewEvent
}

// newBatch cleans the intakes and settles at once those that go no further. mappings say what columns mean, by import.
func newBatch(s *Scope, intakes []schema.Intake, mappings map[int64]intake.Mapping) *batch {
	b := &batch{
		s: s, intakes: intakes,
		cleaned: map[int64]lead.Clean{},
		leads:   map[int64]*schema.Lead{},
		isNew:   map[int64]bool{},
		latest:  map[int64]int64{},
	}
	for _, in := range intakes {
		c := clean(in, mappings[in.ImportID])
		if c.Verdict == lead.Accepted {
			b.cleaned[in.ID] = c
			continue
		}
		b.settled = append(b.settled, schema.Settled{ID: in.ID, Status: c.Verdict, Reasons: c.Reasons})
	}
	return b
}

// clean judges one intake. What went into a trap is quarantined. A person's release overrules quarantine, nothing overrules a
// rejection.
func clean(in schema.Intake, m intake.Mapping) lead.Clean {
	submission, mistyped := read(in, m)
	c := contact.Normalise(submission, in.Country)
	c.Reasons = append(mistyped, c.Reasons...)
	if hook.IsTest(mistyped) {
		c.Verdict = lead.Rejected
	}
	if in.Suspicion != "" {
		c.Reasons = append(c.Reasons, intake.Suspect(in.Suspicion))
		if c.Verdict == lead.Accepted {
			c.Verdict = lead.Quarantined
		}
	}
	if c.Verdict == lead.Quarantined && in.Released {
		c.Verdict = lead.Accepted
	}
	return c
}

// read picks the reader by the format of the payload; the mapping is that of the file it was read from.
func read(in schema.Intake, m intake.Mapping) (lead.Submission, []lead.Reason) {
	if in.Format != "" {
		return hook.Read(in.Format, []byte(in.Payload))
	}
	return intake.Parse([]byte(in.Payload), m)
}

// match claims the match keys, locks the leads that hold some already, and decides who is who.
func (b *batch) match(ctx context.Context) error {
	claims := b.claims()
	holders := map[string]int64{}
	var err error
	if len(claims) > 0 {
		if holders, err = schema.ClaimKeys(ctx, b.s.Tx, claims); err != nil {
			return err
		}
	}
	known, err := b.lock(ctx, holders)
	if err != nil {
		return err
	}
	b.matches = match.Assign(b.candidates(), known)
	b.give(claims)
	return nil
}

// claims asks for each key once, on behalf of the first intake that has it.
func (b *batch) claims() []schema.KeyClaim {
	var claims []schema.KeyClaim
	seen := map[string]bool{"": true}
	for _, in := range b.intakes {
		c := b.cleaned[in.ID]
		for _, key := range []string{c.EmailKey, c.PhoneKey} {
			if !seen[key] {
				seen[key] = true
				claims = append(claims, schema.KeyClaim{Key: key, LeadID: in.ID})
			}
		}
	}
	return claims
}

// lock loads the leads that held keys before this batch. An intake of the batch has founded nothing yet, so a
// holder with its id is only this batch's own claim.
func (b *batch) lock(ctx context.Context, holders map[string]int64) (map[string]match.Known, error) {
	var ids []int64
	for _, id := range holders {
		if _, ours := b.cleaned[id]; !ours && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	known := map[string]match.Known{}
	if len(ids) == 0 {
		return known, nil
	}
	leads, err := schema.LockLeads(ctx, b.s.Tx, ids)
	for _, l := range leads {
		b.leads[l.ID] = &l
	}
	for key, id := range holders {
		if l := b.leads[id]; l != nil {
			known[key] = match.Known{Lead: id, Name: l.Value("name"), HasEmail: l.Value("email") != ""}
		}
	}
	return known, err
}

func (b *batch) candidates() []match.Candidate {
	var cs []match.Candidate
	for _, in := range b.intakes {
		if c, ok := b.cleaned[in.ID]; ok {
			cs = append(cs, match.Candidate{Intake: in.ID, EmailKey: c.EmailKey, PhoneKey: c.PhoneKey, Name: c.Fields["name"].Value})
		}
	}
	return cs
}

// give hands over the keys that were claimed for an intake which turned out to be another lead.
func (b *batch) give(claims []schema.KeyClaim) {
	claimed := map[string]int64{}
	for _, c := range claims {
		claimed[c.Key] = c.LeadID
	}
	var moved []schema.KeyClaim
	for _, m := range b.matches {
		for _, key := range m.Keys {
			if claimed[key] != m.Lead {
				moved = append(moved, schema.KeyClaim{Key: key, LeadID: m.Lead})
			}
		}
	}
	if len(moved) > 0 {
		schema.GiveKeys(b.s.Tx, moved)
	}
}

// absorb takes each accepted intake into its lead.
func (b *batch) absorb() {
	at := map[int64]schema.Intake{}
	for _, in := range b.intakes {
		at[in.ID] = in
	}
	for _, m := range b.matches {
		in, c := at[m.Intake], b.cleaned[m.Intake]
		l := b.touch(m)
		var took lead.Absorbed
		l.Lead, took = lead.Absorb(l.Lead, c, lead.Origin{Source: in.Source, Intake: in.ID, At: in.ReceivedAt})
		b.latest[m.Lead] = in.ID
		b.tell(m, in, took)
		status := lead.Duplicate
		if m.New {
			status = lead.Accepted
		}
		b.settled = append(b.settled, schema.Settled{ID: in.ID, Status: status, LeadID: m.Lead, Reasons: c.Reasons})
	}
}

// touch returns the lead an intake was matched to, made if it is new.
func (b *batch) touch(m match.Assignment) *schema.Lead {
	if b.leads[m.Lead] == nil {
		b.leads[m.Lead] = &schema.Lead{Lead: lead.Lead{ID: m.Lead}, State: schema.StateNew}
	}
	if m.New {
		b.isNew[m.Lead] = true
	}
	if b.latest[m.Lead] == 0 {
		b.order = append(b.order, m.Lead)
	}
	return b.leads[m.Lead]
}

// told is the data of a received or absorbed event: with it the lead's row can be rebuilt.
type told struct {
	Source string                `json:"source"`
	Intake int64                 `json:"intake"`
	By     string                `json:"by,omitempty"` // the key that matched: email or phone
	Filled map[string]lead.Field `json:"filled"`
	Kept   map[string]lead.Field `json:"kept,omitempty"`
	Extra  map[string]any        `json:"extra,omitempty"`
}

func (b *batch) tell(m match.Assignment, in schema.Intake, took lead.Absorbed) {
	kind := schema.Absorbed
	if m.New {
		kind = schema.Received
	}
	b.event(m.Lead, kind, told{in.Source, in.ID, m.By, took.Filled, took.Kept, took.ExtraFilled})
	if m.SharedPhone != 0 {
		b.event(m.Lead, schema.PhoneShared, map[string]any{"lead": m.SharedPhone, "intake": in.ID})
	}
}

func (b *batch) event(leadID int64, kind string, data any) {
	b.events = append(b.events, schema.NewEvent{LeadID: leadID, Kind: kind, Data: data})
}

// touched lists the leads of this batch as they were touched.
func (b *batch) touched() []*schema.Lead {
	leads := make([]*schema.Lead, len(b.order))
	for i, id := range b.order {
		leads[i] = b.leads[id]
	}
	return leads
}
