package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/jobs"
	"github.com/leadmill/leadmill/schema"
)

func (a *app) jobsCommand() *cobra.Command {
	return group("jobs", "Look at failed jobs and retry them", "  leadmill jobs list", a.jobsListCommand(), a.jobsShowCommand(), a.jobsRetryCommand())
}

func (a *app) jobsListCommand() *cobra.Command {
	var query schema.JobQuery
	c := a.jsonFlag(&cobra.Command{
		Use: "list", Short: "List failed jobs, newest first", Args: cobra.NoArgs,
		Long:    "Lists jobs that wait for another attempt and jobs that were given up.",
		Example: "  leadmill jobs list --state discarded --error timeout",
		RunE:    func(c *cobra.Command, _ []string) error { return a.jobsList(c.Context(), query) },
	})
	jobFilter(c, &query)
	c.Flags().IntVar(&query.Limit, "limit", 50, "at most, up to 1000")
	return c
}

// jobFilter gives a command the flags that narrow the failed jobs.
func jobFilter(c *cobra.Command, query *schema.JobQuery) {
	c.Flags().StringVar(&query.Kind, "kind", "", "of this kind only: deliver_lead")
	c.Flags().StringVar(&query.Queue, "queue", "", "in this queue only")
	c.Flags().StringVar(&query.State, "state", "", "in this state only: "+strings.Join(schema.FailedStates, ", "))
	c.Flags().StringVar(&query.Error, "error", "", "whose last error holds this text")
}

func checkFilter(query schema.JobQuery) error {
	if query.State != "" && !slices.Contains(schema.FailedStates, query.State) {
		return usagef("--state is %q, want one of %s", query.State, strings.Join(schema.FailedStates, ", "))
	}
	return nil
}

// jobLine is a failed job as printed.
type jobLine struct {
	ID      string    `json:"id"`
	Kind    string    `json:"kind"`
	Queue   string    `json:"queue"`
	State   string    `json:"state"`
	Attempt int       `json:"attempt"`
	Of      int       `json:"max_attempts"`
	Error   string    `json:"error"`
	At      time.Time `json:"at"`
}

func jobLines(failed []schema.FailedJob) []jobLine {
	lines := make([]jobLine, len(failed))
	for i, j := range failed {
		lines[i] = jobLine{strconv.FormatInt(j.ID, 10), j.Kind, j.Queue, j.State, j.Attempt, j.MaxAttempts, j.Error, j.At}
	}
	return lines
}

func (a *app) jobTable(lines []jobLine) {
	rows := make([][]string, len(lines))
	for i, l := range lines {
		rows[i] = []string{l.ID, l.Kind, l.State, strconv.Itoa(l.Attempt) + "/" + strconv.Itoa(l.Of), l.Error}
	}
	a.table([]string{"ID", "KIND", "STATE", "TRY", "ERROR"}, rows)
}

func (a *app) jobsList(ctx context.Context, query schema.JobQuery) error {
	if err := checkFilter(query); err != nil {
		return err
	}
	var failed []schema.FailedJob
	err := a.inScope(ctx, func(ctx context.Context, tx *dbctx.Tx) (err error) {
		failed, err = schema.FailedJobs(ctx, tx, query)
		return err
	}, dbctx.ReadOnly())
	if err != nil {
		return err
	}
	lines := jobLines(failed)
	return a.print(lines, func() { a.jobTable(lines) })
}

func (a *app) jobsShowCommand() *cobra.Command {
	return a.jsonFlag(&cobra.Command{
		Use: "show ID", Short: "Show a job and why it failed", Args: cobra.ExactArgs(1),
		Example: "  leadmill jobs show 42",
		RunE: func(c *cobra.Command, args []string) error {
			ids, err := jobIDs(args)
			if err != nil {
				return err
			}
			return a.jobsShow(c.Context(), ids[0])
		},
	})
}

func jobIDs(args []string) ([]int64, error) {
	ids := make([]int64, len(args))
	for i, arg := range args {
		id, err := strconv.ParseInt(arg, 10, 64)
		if err != nil {
			return nil, usagef("the id of a job is a number, not %q", arg)
		}
		ids[i] = id
	}
	return ids, nil
}

func (a *app) jobsShow(ctx context.Context, id int64) error {
	var j schema.Job
	err := a.inScope(ctx, func(ctx context.Context, tx *dbctx.Tx) (err error) {
		j, err = schema.GetJob(ctx, tx, id)
		return err
	}, dbctx.ReadOnly())
	if err != nil {
		return err
	}
	return a.print(j, func() { a.showJob(j) })
}

func (a *app) showJob(j schema.Job) {
	fmt.Fprintf(a.stdout, "job %d, %s, in queue %s: %s after attempt %d of %d\n", j.ID, j.Kind, j.Queue, j.State, j.Attempt, j.MaxAttempts)
	for _, line := range [][2]string{
		{"created", when(&j.CreatedAt)}, {"scheduled", when(&j.ScheduledAt)}, {"attempted", when(j.AttemptedAt)},
		{"ended", when(j.FinalizedAt)}, {"worker", j.Worker}, {"crashes", strconv.Itoa(j.Crashes)}, {"arguments", string(j.Args)},
	} {
		fmt.Fprintf(a.stdout, "  %-10s %s\n", line[0], printable(line[1]))
	}
	for _, e := range j.Errors {
		fmt.Fprintf(a.stdout, "\n%s attempt %d: %s\n", when(&e.At), e.Attempt, printable(e.Error))
		for line := range strings.Lines(e.Trace) {
			fmt.Fprintf(a.stdout, "    %s\n", printable(strings.TrimRight(line, "\n")))
		}
	}
}

// retryOptions are the flags of jobs retry.
type retryOptions struct {
	query            schema.JobQuery
	all, dryRun, yes bool
}

func (a *app) jobsRetryCommand() *cobra.Command {
	var o retryOptions
	c := a.jsonFlag(&cobra.Command{
		Use: "retry [ID...]", Short: "Run failed jobs again",
		Long: "Runs the jobs with these ids again, or with --all all that match. A job that has\n" +
			"no attempt left gets one more. --all asks first; --dry-run only shows.",
		Example: "  leadmill jobs retry 42 43\n  leadmill jobs retry --all --kind deliver_lead --error timeout --dry-run",
		RunE: func(c *cobra.Command, args []string) error {
			ids, err := o.check(args)
			if err != nil {
				return err
			}
			if o.all {
				return a.jobsRetryAll(c.Context(), o)
			}
			return a.jobsRetry(c.Context(), ids)
		},
	})
	jobFilter(c, &o.query)
	c.Flags().BoolVar(&o.all, "all", false, "all failed jobs that match the other flags")
	c.Flags().BoolVar(&o.dryRun, "dry-run", false, "with --all: count and show, retry nothing")
	c.Flags().BoolVar(&o.yes, "yes", false, "with --all: do not ask")
	return c
}

func (o retryOptions) check(args []string) ([]int64, error) {
	narrowed := o.query != schema.JobQuery{}
	switch {
	case o.all && len(args) > 0:
		return nil, usagef("give ids or --all, not both")
	case !o.all && len(args) == 0:
		return nil, usagef("give the ids of jobs, or --all")
	case !o.all && (narrowed || o.dryRun || o.yes):
		return nil, usagef("--kind, --queue, --state, --error, --dry-run and --yes go with --all")
	}
	if err := checkFilter(o.query); err != nil {
		return nil, err
	}
	return jobIDs(args)
}

// retried is what jobs retry prints.
type retried struct {
	Matching int64     `json:"matching"` // failed jobs with these ids, or that match
	Retried  int       `json:"retried"`
	DryRun   bool      `json:"dry_run"`
	First    []jobLine `json:"first,omitempty"` // of a dry run
}

func (a *app) jobsRetry(ctx context.Context, ids []int64) error {
	var done []int64
	err := a.inScope(ctx, func(ctx context.Context, tx *dbctx.Tx) (err error) {
		done, err = schema.RetryJobs(ctx, tx, ids)
		return err
	})
	if err != nil {
		return err
	}
	err = a.print(retried{Matching: int64(len(done)), Retried: len(done)}, func() { a.say("%d retried", len(done)) })
	for _, id := range ids {
		if err == nil && !slices.Contains(done, id) {
			err = fmt.Errorf("failed job %d: %w", id, schema.ErrNotFound)
		}
	}
	return err
}

const firstFew = 5 // shown before all are retried

func (a *app) jobsRetryAll(ctx context.Context, o retryOptions) error {
	return a.withQueue(ctx, func(db *dbctx.DB, q *jobs.Queue) error {
		r, err := matching(ctx, db, o.query)
		if err != nil {
			return err
		}
		if r.DryRun = o.dryRun; o.dryRun {
			return a.print(r, func() { a.announce(r) })
		}
		if sure, err := a.sure(r, o.yes); !sure || err != nil {
			return err
		}
		if r.Retried, err = q.RetryFailed(ctx, o.query); err != nil {
			return fmt.Errorf("%d were retried, call it again for the rest: %w", r.Retried, err)
		}
		r.First = nil
		return a.print(r, func() { a.say("%d retried", r.Retried) })
	})
}

func matching(ctx context.Context, db *dbctx.DB, query schema.JobQuery) (r retried, err error) {
	query.Limit = firstFew
	return r, dbctx.Run(ctx, db, func(ctx context.Context, tx *dbctx.Tx) error {
		if r.Matching, err = schema.CountFailedJobs(ctx, tx, query); err != nil {
			return err
		}
		first, err := schema.FailedJobs(ctx, tx, query)
		r.First = jobLines(first)
		return err
	}, dbctx.ReadOnly())
}

func (a *app) announce(r retried) {
	fmt.Fprintf(a.stdout, "%d failed jobs match\n", r.Matching)
	if r.Matching > 0 {
		a.jobTable(r.First)
	}
}

// sure asks whoever sits at the terminal; a script has to say --yes.
func (a *app) sure(r retried, yes bool) (bool, error) {
	switch {
	case yes || r.Matching == 0:
		return true, nil
	case !isTerminal(a.stdin):
		return false, usagef("%d failed jobs match and nobody is here to be asked: look at them with --dry-run, then say --yes", r.Matching)
	}
	a.announce(r)
	fmt.Fprintf(a.stderr, "Retry all %d? [y/N] ", r.Matching)
	var answer string
	_, _ = fmt.Fscanln(a.stdin, &answer) // no answer is a no
	return strings.HasPrefix(strings.ToLower(answer), "y"), nil
}
