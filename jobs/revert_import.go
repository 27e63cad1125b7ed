package jobs

import (
	"context"
	"slices"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/lead"
	"github.com/leadmill/leadmill/schema"
)

// RevertImport undoes an import, 500 rows at a time, with a cursor that moves in the scope that undoes them.
//
// A lead that the import founded and that nobody has touched since is removed, with its match keys and the deliveries that
// were not made; an event "reverted" ends its story, which stays. All other leads that the import founded or added to are
// left as they are and named, each with the reason. The intakes keep their verdicts and are marked; one that has none yet
// is rejected.
type RevertImport struct {
	ImportID int64 `json:"import_id"`
}

// Kind is revert_import.
func (RevertImport) Kind() string { return "revert_import" }

// Queue is files.
func (RevertImport) Queue() string { return Files }

// undoTries is how often a step is tried at once when the database chose it as the victim of a deadlock: who sends something
// to a lead just then may add a match key to it behind the step's back.
const undoTries = 5

func revertImport(ctx context.Context, q *Queue, j Job, args RevertImport) error {
	for {
		m, err := q.GetImport(ctx, args.ImportID)
		if err != nil || m.State != schema.ImportReverting {
			return err
		}
		moved := false
		err = q.scope(ctx, j, func(ctx context.Context, s *Scope) (err error) {
			if m.Undone >= m.Rows {
				schema.EndRevert(s.Tx, m, s.Now)
				return nil
			}
			schema.ForgetCrash(s.Tx, j.ID)
			moved, err = undoRows(ctx, s, m, min(m.Undone+chunkRows, m.Rows))
			return err
		}, dbctx.Retry(undoTries))
		if err != nil || !moved { // it is over, or somebody else has it
			return err
		}
	}
}

// undoRows undoes the rows from the cursor to that one. The order of the locks is that of process_leads.
func undoRows(ctx context.Context, s *Scope, m schema.Import, to int64) (moved bool, err error) {
	if moved, err = schema.MoveRevert(ctx, s.Tx, m, to); err != nil || !moved {
		return moved, err
	}
	intakes, err := schema.LockImportRows(ctx, s.Tx, m.ID, m.Undone, to)
	if err != nil {
		return true, err
	}
	rejectPending(s, intakes)
	founded, absorbed := leadsOf(intakes)
	there, err := schema.LockLeadsWhole(ctx, s.Tx, founded)
	if err != nil {
		return true, err
	}
	touched, err := schema.TouchedLeads(ctx, s.Tx, m.ID, there)
	if err != nil {
		return true, err
	}
	theirs, err := schema.LeadsOfOthers(ctx, s.Tx, m.ID, absorbed)
	if err != nil {
		return true, err
	}
	removeLeads(s, m.ID, without(there, touched))
	schema.KeepLeads(s.Tx, m.ID, append(touched, theirs...))
	schema.MarkReverted(s.Tx, m.ID, m.Undone, to, s.Now)
	return true, nil
}

// rejectPending gives a verdict to rows that nobody has looked at, so that nobody will.
func rejectPending(s *Scope, intakes []schema.Intake) {
	var settled []schema.Settled
	for _, in := range intakes {
		if in.Status == lead.Pending {
			settled = append(settled, schema.Settled{ID: in.ID, Status: lead.Rejected, Reasons: []lead.Reason{
				{Code: "reverted", Message: "The import was reverted before this row had its turn."}}})
		}
	}
	schema.SettleIntakes(s.Tx, settled, s.Now)
	schema.CountVerdicts(s.Tx, intakes, settled)
}

// leadsOf are the leads that these intakes founded, and those that they were absorbed by.
func leadsOf(intakes []schema.Intake) (founded, absorbed []int64) {
	for _, in := range intakes {
		switch {
		case in.LeadID == 0:
		case in.LeadID == in.ID:
			founded = append(founded, in.LeadID)
		case !slices.Contains(absorbed, in.LeadID):
			absorbed = append(absorbed, in.LeadID)
		}
	}
	return founded, absorbed
}

// without leaves out those that are kept.
func without(ids []int64, kept []schema.Kept) []int64 {
	keep := map[int64]bool{}
	for _, k := range kept {
		keep[k.LeadID] = true
	}
	return slices.DeleteFunc(slices.Clone(ids), func(id int64) bool { return keep[id] })
}

func removeLeads(s *Scope, importID int64, ids []int64) {
	if len(ids) == 0 {
		return
	}
	events := make([]schema.NewEvent, len(ids))
	for i, id := range ids {
		events[i] = schema.NewEvent{LeadID: id, Kind: schema.Reverted, Data: map[string]any{"import": importID}}
	}
	schema.RemoveLeads(s.Tx, ids)
	schema.AddEvents(s.Tx, s.Job.Actor(), s.Now, events...)
}
