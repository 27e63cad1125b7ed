package main

import (
	"context"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/jobs"
)

func (a *app) jobsCommand() *cobra.Command {
	var limit int
	list := a.jsonFlag(&cobra.Command{
		Use: "list", Short: "List failed jobs, newest first", Args: cobra.NoArgs,
		Long:    "Lists jobs that wait for another attempt and jobs that were given up.",
		Example: "  leadmill jobs list --json",
		RunE:    func(c *cobra.Command, _ []string) error { return a.jobsList(c.Context(), limit) },
	})
	list.Flags().IntVar(&limit, "limit", 50, "at most, up to 1000")
	retry := &cobra.Command{
		Use: "retry ID", Short: "Run a job again", Example: "  leadmill jobs retry 42", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			id, err := strconv.ParseInt(args[0], 10, 64)
			if err != nil {
				return usagef("ID is a number")
			}
			return a.withQueue(c.Context(), func(_ *dbctx.DB, q *jobs.Queue) error { return q.RetryJob(c.Context(), id) })
		},
	}
	return group("jobs", "Look at failed jobs", "  leadmill jobs list", list, retry)
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

func (a *app) jobsList(ctx context.Context, limit int) error {
	list, rows := []jobLine{}, [][]string{}
	err := a.withQueue(ctx, func(_ *dbctx.DB, q *jobs.Queue) error {
		failed, err := q.FailedJobs(ctx, limit)
		for _, j := range failed {
			id := strconv.FormatInt(j.ID, 10)
			list = append(list, jobLine{id, j.Kind, j.Queue, j.State, j.Attempt, j.MaxAttempts, j.Error, j.At})
			rows = append(rows, []string{id, j.Kind, j.State, strconv.Itoa(j.Attempt) + "/" + strconv.Itoa(j.MaxAttempts), j.Error})
		}
		return err
	})
	if err != nil {
		return err
	}
	return a.print(list, func() { a.table([]string{"ID", "KIND", "STATE", "TRY", "ERROR"}, rows) })
}
