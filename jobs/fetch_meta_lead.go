package jobs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/lead/hook"
	"github.com/leadmill/leadmill/schema"
)

// FetchMetaLead fetches a lead that Meta has told of, by its id, and takes it in.
//
// What was told is kept in the table fetches before Meta hears that it arrived; the lead, its job and the end of the
// fetch are one commit. A fetch that is done is left alone. One that a person has to see to is parked, and its job
// given up with the reason: retrying that job fetches again.
type FetchMetaLead struct {
	FetchID  int64 `json:"fetch_id"`
	SourceID int64 `json:"source_id"` // for the gate
}

// Kind is fetch_meta_lead.
func (FetchMetaLead) Kind() string { return "fetch_meta_lead" }

// Queue is outbound.
func (FetchMetaLead) Queue() string { return Outbound }

var fetchMetaLead = stages[FetchMetaLead, fetching]{
	enter:  enterHookGate,
	take:   takeFetch,
	call:   callGraph,
	again:  fetchAgain,
	settle: settleFetch,
}

// fetching is a fetch on its way, and how it went.
type fetching struct {
	fetch  schema.Fetch
	tries  int // as the row had them when this try began
	hook   schema.Hook
	answer answer
	lead   []byte        // what was answered
	took   time.Duration // 0: nobody was called
	means  hook.GraphAnswer
}

// enterHookGate keeps a slow Meta from taking all workers. The gates of hooks have the ids of their sources, below
// zero; those of destinations are above it.
func enterHookGate(ctx context.Context, q *Queue, args FetchMetaLead) (leave func(fetching), err error) {
	pass, wait, err := q.gates.of(-args.SourceID).enter(ctx)
	if err != nil {
		return nil, err
	}
	if wait > 0 {
		return nil, again{wait}
	}
	return func(f fetching) { pass.leave(f.took, f.answer) }, nil
}

// takeFetch leaves no mark of the call to come: a lead may be read twice, and is taken in once.
func takeFetch(ctx context.Context, s *Scope, args FetchMetaLead) (f fetching, err error) {
	f.fetch, f.hook, err = schema.GetFetch(ctx, s.Tx, args.FetchID)
	if errors.Is(err, schema.ErrNotFound) || err == nil && f.fetch.State == schema.FetchDone {
		return f, errNothingToDo
	}
	f.tries = f.fetch.Tries
	if f.fetch.State == schema.FetchParked {
		f.fetch.Tries = 0 // who retries it has all tries before him
	}
	return f, err
}

func callGraph(ctx context.Context, q *Queue, f fetching) (fetching, error) {
	if f.hook.Kind == "" {
		f.means = hook.GraphAnswer{Reason: "the hook was removed: make it again with leadmill hook add meta"}
		return f, nil
	}
	began := time.Now()
	f.answer, f.lead = q.caller.fetchLead(ctx, f.hook, f.fetch.Ref, q.now())
	f.took = max(1, time.Since(began))
	if f.answer.interrupted {
		return f, ctx.Err()
	}
	f.means = hook.JudgeGraph(f.answer.status, f.lead)
	if f.answer.status == 0 {
		f.means.Reason += ": " + f.answer.text
		f.means.Again = f.answer.text != errPrivateAddress.Error()
	}
	return f, nil
}

// fetchAgain follows the schedule of deliveries, or waits for as long as Meta asks for.
func fetchAgain(f fetching, _ time.Time) time.Duration {
	if !f.means.Again || f.fetch.Tries >= len(deliverySchedule) {
		return 0
	}
	wait := deliverySchedule[f.fetch.Tries]
	return max(wait+rand.N(wait/10), min(f.answer.retryAfter, longestWait))
}

// settleFetch takes the lead in, or writes down why there is none yet. Of who was overtaken by a later try only a lead
// counts; as with deliveries, anything else is left to that one, and the job is not ended.
func settleFetch(ctx context.Context, s *Scope, f fetching, wait time.Duration) error {
	state, tries, err := schema.LockFetch(ctx, s.Tx, f.fetch.ID)
	if err != nil || state == schema.FetchDone {
		return err
	}
	f.fetch.Tries++
	f.fetch.Reason = f.means.Reason
	switch {
	case f.means.Fetched:
		return s.takeFetched(ctx, f)
	case tries != f.tries:
		return again{overtakenWait}
	case wait > 0:
		f.fetch.State = schema.FetchOpen
		schema.SettleFetch(s.Tx, f.fetch, s.Now)
		return nil
	case f.means.Again:
		f.fetch.Reason = fmt.Sprintf("not fetched in %d tries; at the last, %s", f.fetch.Tries, f.means.Reason)
	}
	if f.means.Flag {
		schema.FlagHook(s.Tx, f.fetch.SourceID, hook.Meta, f.means.Reason)
	}
	f.fetch.State = schema.FetchParked
	schema.SettleFetch(s.Tx, f.fetch, s.Now)
	return dbctx.Keep(&hopeless{f.fetch.Reason})
}

func (s *Scope) takeFetched(ctx context.Context, f fetching) error {
	id, _, err := s.q.takeMeta(ctx, s.Tx, f.fetch.SourceID, f.fetch.Ref, hook.MetaPayload([]byte(f.fetch.Notice), f.lead))
	if err != nil {
		return err
	}
	f.fetch.State, f.fetch.IntakeID = schema.FetchDone, id
	schema.SettleFetch(s.Tx, f.fetch, s.Now)
	schema.FlagHook(s.Tx, f.fetch.SourceID, hook.Meta, "")
	return nil
}

// TakeChanges stores the leads that a notification of Meta tells of, in the open scope: each as a fetch with its job,
// once however often it is told. What is a test can be fetched by nobody and is taken as it is. fresh is how many were
// not told of before.
func (q *Queue) TakeChanges(ctx context.Context, tx *dbctx.Tx, sourceID int64, changes []hook.Change) (fresh int, err error) {
	var fetches []schema.NewFetch
	for _, c := range changes {
		if !c.IsTest() {
			fetches = append(fetches, schema.NewFetch{SourceID: sourceID, Ref: c.ID, Notice: string(c.Notice)})
			continue
		}
		_, repeated, err := q.takeMeta(ctx, tx, sourceID, c.ID, hook.MetaPayload(c.Notice, nil))
		if err != nil {
			return 0, err
		}
		if !repeated {
			fresh++
		}
	}
	if len(fetches) == 0 {
		return fresh, nil
	}
	ids, err := schema.InsertFetches(ctx, tx, fetches, q.now())
	if err != nil {
		return 0, err
	}
	jobs := make([]Args, len(ids))
	for i, id := range ids {
		jobs[i] = FetchMetaLead{FetchID: id, SourceID: sourceID}
	}
	return fresh + len(ids), q.Enqueue(ctx, tx, jobs...)
}

func (q *Queue) takeMeta(ctx context.Context, tx *dbctx.Tx, sourceID int64, ref string, payload []byte) (id int64, repeated bool, err error) {
	sum := sha256.Sum256(payload)
	return q.TakeMessage(ctx, tx, schema.NewIntake{
		SourceID: sourceID, Key: hook.Meta + ":" + ref, Hash: hex.EncodeToString(sum[:]), Payload: string(payload), Format: hook.Meta,
	})
}
