package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/jobs"
	"github.com/leadmill/leadmill/schema"
)

func (a *app) statusCommand() *cobra.Command {
	var watch bool
	var every time.Duration
	c := a.jsonFlag(&cobra.Command{
		Use: "status", Short: "Show today's funnel and the queue", Args: cobra.NoArgs,
		Long: "Shows what came in today and what became of it, the jobs, how long the oldest\n" +
			"waits, and the workers. 50000 jobs stand for that many or more. --watch repaints\n" +
			"on a terminal and prints plain lines elsewhere.",
		Example: "  leadmill status --watch",
		RunE:    func(c *cobra.Command, _ []string) error { return a.status(c.Context(), watch, every) },
	})
	c.Flags().BoolVar(&watch, "watch", false, "go on until Ctrl-C")
	c.Flags().DurationVar(&every, "every", 2*time.Second, "how often, with --watch")
	return c
}

// status is one look at the whole.
type status struct {
	At      time.Time           `json:"at"`
	Today   schema.FunnelCounts `json:"today"`
	Jobs    []schema.JobCount   `json:"jobs"`
	Oldest  float64             `json:"oldest_waiting_seconds"`
	Unowned int                 `json:"unowned"` // at most 1000 are counted
	Workers []workerLine        `json:"workers"`
	Unknown []string            `json:"unknown_kinds"` // of jobs that wait: no running release knows them
}

// workerLine is a worker process as printed.
type workerLine struct {
	ID        string    `json:"id"`
	Host      string    `json:"host"`
	PID       int       `json:"pid"`
	StartedAt time.Time `json:"started_at"`
	SeenAt    time.Time `json:"seen_at"`
	Silent    float64   `json:"silent_seconds"`
	Stalled   bool      `json:"stalled"`
	Running   int       `json:"running_jobs"`
}

func workerLines(states []schema.WorkerState) []workerLine {
	lines := make([]workerLine, len(states))
	for i, w := range states {
		lines[i] = workerLine{w.ID, w.Host, w.PID, w.StartedAt, w.SeenAt, w.Silent.Seconds(), w.Silent > jobs.StalledAfter, w.Running}
	}
	return lines
}

func (a *app) status(ctx context.Context, watch bool, every time.Duration) error {
	a.small()
	db, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	if !watch {
		s, err := readStatus(ctx, db)
		if err != nil {
			return err
		}
		return a.print(s, func() { a.showStatus(s) })
	}
	tick := time.NewTicker(max(every, 100*time.Millisecond))
	defer tick.Stop()
	for {
		if err := a.watchOnce(ctx, db); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil // Ctrl-C is how watching ends
		}
	}
}

// watchOnce shows one look; a database that is away is said and waited for.
func (a *app) watchOnce(ctx context.Context, db *dbctx.DB) error {
	s, err := readStatus(ctx, db)
	switch {
	case ctx.Err() != nil:
		return nil
	case dbctx.IsUnavailable(err):
		a.say("%s: the database is away", now().Format(time.TimeOnly))
		return nil
	case err != nil:
		return err
	}
	return a.print(s, func() {
		if isTerminal(a.stdout) {
			fmt.Fprint(a.stdout, "\x1b[H\x1b[2J")
			a.showStatus(s)
			return
		}
		fmt.Fprintf(a.stdout, "%s rows %d accepted %d duplicate %d rejected %d quarantined %d delivered %d pending %d\n",
			s.At.Format(time.TimeOnly), s.Today.Rows, s.Today.Accepted, s.Today.Duplicate, s.Today.Rejected,
			s.Today.Quarantined, s.Today.Delivered, s.Today.Pending)
	})
}

func readStatus(ctx context.Context, db *dbctx.DB) (s status, err error) {
	s.At = now()
	err = dbctx.Run(ctx, db, func(ctx context.Context, tx *dbctx.Tx) error {
		if s.Today, err = schema.Funnel(ctx, tx, s.At.Truncate(24*time.Hour)); err != nil {
			return err
		}
		if s.Jobs, err = schema.JobCounts(ctx, tx); err != nil {
			return err
		}
		oldest, err := schema.OldestWaiting(ctx, tx)
		if err != nil {
			return err
		}
		if oldest != nil {
			s.Oldest = max(0, s.At.Sub(*oldest).Seconds())
		}
		unowned, err := schema.UnownedLeads(ctx, tx, 1000)
		s.Unowned = len(unowned)
		if err != nil {
			return err
		}
		workers, err := schema.WorkerStates(ctx, tx)
		if err != nil {
			return err
		}
		s.Workers = workerLines(workers)
		unknown, err := schema.UnknownKinds(ctx, tx)
		s.Unknown = append([]string{}, unknown...)
		return err
	}, dbctx.ReadOnly())
	return s, err
}

func (a *app) showStatus(s status) {
	fmt.Fprintf(a.stdout, "today, %s\n\n", when(&s.At))
	a.funnel(s.Today)
	if s.Unowned > 0 {
		fmt.Fprintf(a.stdout, "\n%d leads have no owner: leadmill user add EMAIL --weight 1\n", s.Unowned)
	}
	fmt.Fprintf(a.stdout, "\noldest waiting job: %.1f s\n\n", s.Oldest)
	rows := [][]string{}
	for _, j := range s.Jobs {
		rows = append(rows, []string{j.Queue, j.State, strconv.FormatInt(j.Count, 10)})
	}
	a.table([]string{"QUEUE", "STATE", "JOBS"}, rows)
	a.showWorkers(s)
}

func (a *app) showWorkers(s status) {
	for _, kind := range s.Unknown {
		fmt.Fprintf(a.stdout, "\njobs of kind %s wait for a release that knows it\n", printable(kind))
	}
	if len(s.Workers) == 0 {
		fmt.Fprintf(a.stdout, "\nno worker runs: leadmill worker\n")
		return
	}
	fmt.Fprintln(a.stdout)
	rows := [][]string{}
	for _, w := range s.Workers {
		seen := fmt.Sprintf("%.0f s ago", w.Silent)
		if w.Stalled {
			seen += ", stalled"
		}
		age := s.At.Sub(w.StartedAt).Round(time.Second).String()
		rows = append(rows, []string{w.Host, strconv.Itoa(w.PID), age, strconv.Itoa(w.Running), seen})
	}
	a.table([]string{"WORKER", "PID", "AGE", "RUNNING", "SEEN"}, rows)
}

// funnel prints what became of the rows; the verdicts add up to them.
func (a *app) funnel(f schema.FunnelCounts) {
	a.counts(f.Counts)
	line := a.countLine
	line("scored", f.Scored)
	line("owned", f.Owned)
	line("delivered", f.Delivered)
	if f.Retrying+f.Parked > 0 {
		line("retrying", f.Retrying)
		line("parked", f.Parked)
	}
	if f.Uncertain > 0 {
		line("uncertain", f.Uncertain)
	}
}
