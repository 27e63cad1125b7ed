package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"sync"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
	"github.com/robfig/cron/v3"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/schema"
)

// Options of a Queue. The zero value works every queue with the defaults, silently.
type Options struct {
	Queues      []string                         // worked by this process after Start; nil means all
	Concurrency int                              // jobs at once in live and in outbound; 0 means 100, 4 on SQLite
	Logger      *slog.Logger                     // nil means silence
	Now         func() time.Time                 // nil means time.Now
	OnDone      func(intakeToDone time.Duration) // called for each intake after its verdict is committed; nil means nobody asks
}

// Queue is the one door to River: web processes enqueue through it, workers run its jobs.
//
// River keeps to connections of its own, a few; jobs use the pool of the database they were opened with.
type Queue struct {
	db      *dbctx.DB
	options Options
	workers *river.Workers
	engine  engine
	caller  *caller
	gates   *gates
	heart   *heart
	running running
	wakes   wakes
	giveWay *giveWay
	started bool

	kinds      []string      // of job that this release knows
	schedules  []schedule    // the crontab
	stuck      chan struct{} // closed by giveUp
	giveUp     func()
	stuckAfter time.Duration
}

// engine is River on one kind of database.
type engine interface {
	Start(ctx context.Context) error
	Stop(ctx context.Context) error
	StopAndCancel(ctx context.Context) error
	lane(ctx context.Context, name string, open bool) error
	insert(ctx context.Context, tx *dbctx.Tx, jobs []river.InsertManyParams) error
	ui(prefix string, logger *slog.Logger) (http.Handler, error)
	migrate(ctx context.Context) error
	migrations(ctx context.Context) ([]schema.Migration, error)
	close()
}

// Open makes a queue on a migrated database. It does not work any jobs before Start.
func Open(ctx context.Context, db *dbctx.DB, o Options) (*Queue, error) {
	q := newQueue(db, o)
	q.register()
	return q, q.connect(ctx)
}

func newQueue(db *dbctx.DB, o Options) *Queue {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Queues == nil {
		o.Queues = AllQueues
	}
	q := &Queue{db: db, options: o, workers: river.NewWorkers(), caller: newCaller(callTimeout)}
	q.gates = newGates(q.workersOf(Outbound))
	q.heart, q.schedules = newHeart(q), schedules
	q.giveWay = newGiveWay()
	q.stuck, q.stuckAfter = make(chan struct{}), stuckAfter
	q.giveUp = sync.OnceFunc(func() { close(q.stuck) })
	return q
}

// connect gives the queue its River, which takes the kinds that are registered by then.
func (q *Queue) connect(ctx context.Context) error {
	config, err := q.config()
	if err != nil {
		return err
	}
	q.heart.self.Kinds = q.kinds
	q.engine, err = openEngine(ctx, q.db, config)
	return err
}

// Limits of the work.
const (
	jobTimeout  = time.Minute      // for one attempt, unless the kind says otherwise
	softStop    = 20 * time.Second // running jobs may finish for that long after Stop
	hardStop    = 5 * time.Second  // and end for that long after they were cancelled
	lastStop    = 3 * time.Second  // is left to take this process off the list
	rescueAfter = time.Hour        // a job that runs longer belongs to a dead process
)

func (q *Queue) config() (*river.Config, error) {
	queues := map[string]river.QueueConfig{}
	for _, name := range q.options.Queues {
		workers := q.workersOf(name)
		if workers == 0 {
			return nil, fmt.Errorf("queue %q is not one of %v", name, AllQueues)
		}
		queues[name] = queueConfig(workers)
	}
	return &river.Config{
		ID:      q.heart.self.ID,
		Queues:  queues,
		Workers: q.workers,
		// The cooldown of the client bounds how often inserts notify; that of a queue how often it fetches.
		FetchCooldown:               wakePause,
		FetchPollInterval:           200 * time.Millisecond,
		FetchOnlyKnownKinds:         true,
		PollOnly:                    q.db.Pooled(), // nobody listens through a pooler
		JobTimeout:                  jobTimeout,
		JobStuckHandler:             q.onStuck,
		JobStuckThreshold:           overtime,
		RescueStuckJobsAfter:        rescueAfter,
		SoftStopTimeout:             softStop,
		CompletedJobRetentionPeriod: keepCompleted,
		CancelledJobRetentionPeriod: keepFailed,
		DiscardedJobRetentionPeriod: keepFailed,
		ErrorHandler:                errorHandler{q.options.Logger},
		Hooks:                       []rivertype.Hook{&inTurn{}},
		Logger:                      quiet(q.options.Logger),
		PeriodicJobs:                []*river.PeriodicJob{everyMinute()},
	}, nil
}

// queueConfig fetches at most two hundred times a second: a lead that comes right behind a fetch waits no longer than 5 ms.
func queueConfig(workers int) river.QueueConfig {
	return river.QueueConfig{MaxWorkers: workers, FetchCooldown: 5 * time.Millisecond, FetchPollInterval: 200 * time.Millisecond}
}

// workersOf is how many jobs of a queue run at once in this process; 0 if there is no such queue.
func (q *Queue) workersOf(name string) int {
	wide, narrow, files := 100, 4, 8
	bulk := max(2, runtime.GOMAXPROCS(0)) // chunks keep processors busy, more of them only wait for each other
	if q.db.Dialect() == dbctx.SQLite {   // one writer at a time
		wide, narrow, files, bulk = 4, 1, 2, 1
	}
	if q.options.Concurrency > 0 {
		wide = q.options.Concurrency
	}
	switch name {
	case Live, Outbound:
		return wide
	case Bulk:
		return bulk
	case Maintenance:
		return narrow
	case Files:
		return files
	}
	return 0
}

// everyMinute brings the tick of the cron ledger; River's leader holds it, so there is one for a fleet.
func everyMinute() *river.PeriodicJob {
	minute, err := cron.ParseStandard("* * * * *")
	if err != nil {
		panic(err) // the text is a constant
	}
	return river.NewPeriodicJob(minute, func() (river.JobArgs, *river.InsertOpts) {
		return CronTick{}, insertOptions(CronTick{})
	}, &river.PeriodicJobOpts{ID: "cron_tick", RunOnStart: true})
}

func insertOptions(args Args) *river.InsertOpts { return &river.InsertOpts{Queue: args.Queue()} }

// Enqueue adds jobs in the open scope: they exist if it commits, and a worker hears of them then.
func (q *Queue) Enqueue(ctx context.Context, tx *dbctx.Tx, args ...Args) error {
	if len(args) == 0 {
		return nil
	}
	jobs := make([]river.InsertManyParams, len(args))
	for i, a := range args {
		jobs[i] = river.InsertManyParams{Args: a, InsertOpts: insertOptions(a)}
	}
	return q.engine.insert(ctx, tx, jobs)
}

// Start works the queues of the options until Stop. Ending ctx cancels running jobs; use Stop to end well.
func (q *Queue) Start(ctx context.Context) error {
	if err := q.PutSchedules(ctx); err != nil {
		return err
	}
	if err := q.heart.beat(ctx); err != nil { // nobody works jobs whom nobody knows
		return err
	}
	if err := q.engine.Start(ctx); err != nil {
		return errors.Join(err, q.heart.remove(context.WithoutCancel(ctx)))
	}
	q.started = true
	q.heart.start()
	return nil
}

// ErrStillRunning: jobs did not end although they were cancelled. They are available to others already, so end the process.
var ErrStillRunning = errors.New("jobs do not end although they were cancelled, and go on elsewhere: end this process")

// Stop takes no new jobs, lets the running ones finish for 20 seconds or until ctx ends, then cancels them. What was cut off
// is available again, its attempt given back. It returns when all have ended, or after 28 seconds at the latest, with
// ErrStillRunning if some have not, and with the error of ctx if that cut it short.
func (q *Queue) Stop(ctx context.Context) error {
	if !q.started {
		return nil
	}
	q.heart.leave()
	soft, cancel := context.WithTimeout(ctx, softStop)
	defer cancel()
	cut := q.engine.Stop(soft)
	if cut != nil {
		hard, cancel := context.WithTimeout(context.WithoutCancel(ctx), hardStop)
		defer cancel()
		if q.engine.StopAndCancel(hard) != nil {
			cut = ErrStillRunning
		} else if cut = ctx.Err(); cut != nil {
			cut = fmt.Errorf("stopped at once, what was cut off goes on elsewhere: %w", cut)
		}
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastStop)
	defer cancel()
	return errors.Join(cut, q.heart.end(last))
}

// Close gives the queue's own connections back. Stop first.
func (q *Queue) Close() {
	q.caller.close()
	q.engine.close()
}

// UI is River UI, to be mounted under prefix behind a log-in: it has none of its own. It lives until the queue
// is closed.
func (q *Queue) UI(prefix string) (http.Handler, error) {
	return q.engine.ui(prefix, quiet(q.options.Logger))
}

// Idle says that no job runs or could run now. Work that waits for its time does not count.
func (q *Queue) Idle(ctx context.Context) (idle bool, err error) {
	err = dbctx.Run(ctx, q.db, func(ctx context.Context, tx *dbctx.Tx) error {
		busy, err := schema.HasUnfinishedJobs(ctx, tx, q.now())
		idle = !busy
		return err
	}, dbctx.ReadOnly())
	return idle, err
}
