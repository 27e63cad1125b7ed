package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/jobs"
	"github.com/leadmill/leadmill/schema"
)

func (a *app) cronCommand() *cobra.Command {
	list := a.jsonFlag(&cobra.Command{
		Use: "list", Short: "List schedules", Example: "  leadmill cron list", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.cronList(c.Context()) },
	})
	run := &cobra.Command{
		Use: "run NAME", Short: "Enqueue a schedule's job now", Example: "  leadmill cron run purge", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return a.withQueue(c.Context(), func(db *dbctx.DB, q *jobs.Queue) error {
				return dbctx.Run(c.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
					return q.RunSchedule(ctx, tx, args[0])
				})
			})
		},
	}
	return group("cron", "Look at the cron ledger", "  leadmill cron list", list, run)
}

// scheduleLine is a schedule as printed.
type scheduleLine struct {
	Name   string     `json:"name"`
	Cron   string     `json:"cron"`
	Zone   string     `json:"zone"`
	Missed string     `json:"missed"`
	LastAt *time.Time `json:"last_at"`
	NextAt *time.Time `json:"next_at"`
}

func (a *app) cronList(ctx context.Context) error {
	list, rows := []scheduleLine{}, [][]string{}
	err := a.withQueue(ctx, func(db *dbctx.DB, q *jobs.Queue) error {
		if err := q.PutSchedules(ctx); err != nil {
			return err
		}
		return dbctx.Run(ctx, db, func(ctx context.Context, tx *dbctx.Tx) error {
			all, err := schema.ListSchedules(ctx, tx)
			for _, s := range all {
				list = append(list, scheduleLine{s.Name, s.Cron, s.Zone, s.Missed, s.LastAt, s.NextAt})
				rows = append(rows, []string{s.Name, s.Cron, s.Zone, when(s.LastAt), when(s.NextAt)})
			}
			return err
		}, dbctx.ReadOnly())
	})
	if err != nil {
		return err
	}
	return a.print(list, func() { a.table([]string{"NAME", "CRON", "ZONE", "LAST", "NEXT"}, rows) })
}
