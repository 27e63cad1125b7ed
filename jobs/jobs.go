// Package jobs is the workshop: what workers do, one file per kind of job, the file named like the kind.
//
// A job runs in one of three ways, and the list in register says which:
//
//	inScope         inside one dbctx.Run, fenced by dbctx.Once("job/<id>"): its effects are committed once,
//	                however often the job runs
//	callThenSettle  reads in a scope, calls another system with no scope open, settles in a scope
//	inSteps         opens scopes of its own, one for each step, and keeps a cursor
//
// Jobs are enqueued through an open scope only ([Queue.Enqueue]), so a job exists exactly if the change that
// asked for it does. Arguments are ids, never copies of rows and never personal data.
package jobs

import (
	"context"
	"strconv"
	"time"

	"github.com/leadmill/leadmill/dbctx"
)

// register is the table of contents.
func (q *Queue) register() {
	inScope(q, processLeads)
	callThenSettle(q, deliverLead)
	callThenSettle(q, fetchMetaLead)
	inSteps(q, importFile)
	inSteps(q, revertImport)
	inScope(q, routeLeads)
	inScope(q, cronTick)
	inSteps(q, purge)
	inScope(q, benchLead)
}

// Queues by what waits in them. A long bulk never starves live, and who reads a file takes no place from those who process
// its rows: each has workers of its own.
const (
	Live        = "live"        // one person waits
	Bulk        = "bulk"        // rows of files and batches
	Files       = "files"       // files to be read, and imports to be undone
	Outbound    = "outbound"    // calls to other systems
	Maintenance = "maintenance" // cron
)

// AllQueues are all queues there are.
var AllQueues = []string{Live, Bulk, Files, Outbound, Maintenance}

// Args are the arguments of one kind of job: a struct of ids that marshals to JSON.
type Args interface {
	Kind() string  // the name of the kind, and of its file
	Queue() string // one of AllQueues
}

// Scope is what a job works with: the open session, the time it began and the means to enqueue what follows.
type Scope struct {
	Tx  *dbctx.Tx
	Now time.Time // UTC, microseconds; the same for all the job writes
	Job Job
	q   *Queue
}

// Job is the row in the queue that a scope works for.
type Job struct {
	ID      int64
	Attempt int // from 1
}

// Actor is how the job signs events: "job/42".
func (j Job) Actor() string { return "job/" + strconv.FormatInt(j.ID, 10) }

// Enqueue adds jobs in this scope: they exist if it commits.
func (s *Scope) Enqueue(ctx context.Context, args ...Args) error {
	return s.q.Enqueue(ctx, s.Tx, args...)
}

// fence is the key that makes the effects of a job happen once. Actor serves for it because both name the job.
func (j Job) fence() dbctx.Option { return dbctx.Once(j.Actor()) }

// scope runs fn in a scope of its own for this job, once the database lets it.
func (q *Queue) scope(ctx context.Context, j Job, fn func(context.Context, *Scope) error, options ...dbctx.Option) error {
	return patiently(ctx, func() error {
		now := q.now()
		return dbctx.Run(ctx, q.db, func(ctx context.Context, tx *dbctx.Tx) error {
			return fn(ctx, &Scope{Tx: tx, Now: now, Job: j, q: q})
		}, options...)
	})
}

// now is UTC in microseconds, which is what both databases keep.
func (q *Queue) now() time.Time { return q.options.Now().UTC().Truncate(time.Microsecond) }
