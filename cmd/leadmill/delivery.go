package main

import (
	"context"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/jobs"
	"github.com/leadmill/leadmill/schema"
)

func (a *app) deliveryCommand() *cobra.Command {
	var limit int
	list := a.jsonFlag(&cobra.Command{
		Use: "list", Short: "List deliveries that were not taken, newest first", Args: cobra.NoArgs,
		Long: "Lists deliveries that are retried by themselves (retrying), that wait for a\n" +
			"person (parked), and that may have been taken by a receiver which cannot tell a\n" +
			"repeat (uncertain): look there, then retry it or say that it is delivered.",
		Example: "  leadmill delivery list --json",
		RunE:    func(c *cobra.Command, _ []string) error { return a.deliveryList(c.Context(), limit) },
	})
	list.Flags().IntVar(&limit, "limit", 50, "at most, up to 1000")
	return group("delivery", "Look at what was not delivered", "  leadmill delivery list", list,
		a.deliveryAction("retry ID", "Make a delivery again", func(q *jobs.Queue, ctx context.Context, tx *dbctx.Tx, id int64) error {
			return q.RetryDelivery(ctx, tx, id)
		}),
		a.deliveryAction("delivered ID", "Say that an uncertain delivery was taken", func(q *jobs.Queue, ctx context.Context, tx *dbctx.Tx, id int64) error {
			return q.ConfirmDelivery(ctx, tx, id, "command")
		}),
	)
}

func (a *app) deliveryAction(use, short string, do func(*jobs.Queue, context.Context, *dbctx.Tx, int64) error) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Example: "  leadmill delivery " + use[:len(use)-len("ID")] + "42", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			id, err := strconv.ParseInt(args[0], 10, 64)
			if err != nil {
				return usagef("ID is a number")
			}
			return a.withQueue(c.Context(), func(db *dbctx.DB, q *jobs.Queue) error {
				return dbctx.Run(c.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error { return do(q, ctx, tx, id) })
			})
		},
	}
}

// deliveryLine is a delivery as printed.
type deliveryLine struct {
	ID          string     `json:"id"`
	Lead        string     `json:"lead_id"`
	Destination string     `json:"destination"`
	State       string     `json:"state"`
	Tries       int        `json:"tries"`
	Status      int        `json:"last_status"`
	Answer      string     `json:"last_answer"`
	NextAt      *time.Time `json:"next_at"`
}

func (a *app) deliveryList(ctx context.Context, limit int) error {
	list, rows := []deliveryLine{}, [][]string{}
	err := a.inScope(ctx, func(ctx context.Context, tx *dbctx.Tx) error {
		failed, err := schema.FailedDeliveries(ctx, tx, 0, limit)
		for _, v := range failed {
			id, lead := strconv.FormatInt(v.ID, 10), strconv.FormatInt(v.LeadID, 10)
			list = append(list, deliveryLine{id, lead, v.Destination, v.State, v.Tries, v.LastStatus, v.LastAnswer, v.NextAt})
			rows = append(rows, []string{id, lead, cut(v.Destination, 20), v.State, strconv.Itoa(v.Tries), strconv.Itoa(v.LastStatus), when(v.NextAt)})
		}
		return err
	}, dbctx.ReadOnly())
	if err != nil {
		return err
	}
	return a.print(list, func() { a.table([]string{"ID", "LEAD", "TO", "STATE", "TRIES", "STATUS", "NEXT"}, rows) })
}
