package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/jobs"
	"github.com/leadmill/leadmill/schema"
)

// steering is a command that changes the course of an import.
type steering struct {
	verb, short, long string
	do                func(ctx context.Context, q *jobs.Queue, tx *dbctx.Tx, id int64) error
	follows           bool // there is something to wait for
}

var steerings = []steering{
	{"pause", "Stop reading a file until it is resumed",
		"Stops the reading. The rows that are stored already are processed.",
		func(ctx context.Context, _ *jobs.Queue, tx *dbctx.Tx, id int64) error {
			return schema.PauseImport(ctx, tx, id)
		}, false},
	{"resume", "Go on with a paused import, or begin one that waits for a yes",
		"Goes on at the exact row.",
		func(ctx context.Context, q *jobs.Queue, tx *dbctx.Tx, id int64) error {
			return q.StartImport(ctx, tx, id)
		}, true},
	{"cancel", "End the reading of a file for good",
		"Ends the reading. The rows that are stored already stay, and are processed;\n" +
			"leadmill import revert undoes them.",
		func(ctx context.Context, _ *jobs.Queue, tx *dbctx.Tx, id int64) error {
			return schema.CancelImport(ctx, tx, id, now())
		}, false},
	{"revert", "Undo an import",
		"Removes the leads that the import founded and that nobody has touched since.\n" +
			"Leads that others have sent something to, that a destination was told of or that\n" +
			"a person has changed are kept, as are those that were there before; leadmill\n" +
			"import show ID names them. The same file can be imported again then.",
		func(ctx context.Context, q *jobs.Queue, tx *dbctx.Tx, id int64) error {
			return q.RevertImport(ctx, tx, id)
		}, true},
}

func (a *app) importSteerCommands() (commands []*cobra.Command) {
	for _, s := range steerings {
		var wait bool
		c := a.jsonFlag(&cobra.Command{
			Use: s.verb + " ID", Short: s.short, Long: s.long, Args: cobra.ExactArgs(1),
			Example: fmt.Sprintf("  leadmill import %s 7", s.verb),
			RunE: func(c *cobra.Command, args []string) error {
				return a.steer(c.Context(), s, args[0], wait)
			},
		})
		if s.follows {
			c.Flags().BoolVar(&wait, "wait", false, "follow to the end")
		}
		commands = append(commands, c)
	}
	return commands
}

func (a *app) steer(ctx context.Context, s steering, arg string, wait bool) error {
	id, err := importID(arg)
	if err != nil {
		return err
	}
	work := a.withQueue
	if s.follows {
		work = a.working
	}
	return work(ctx, func(db *dbctx.DB, q *jobs.Queue) error {
		err := dbctx.Run(ctx, db, func(ctx context.Context, tx *dbctx.Tx) error { return s.do(ctx, q, tx, id) })
		if err != nil {
			return err
		}
		m, err := q.GetImport(ctx, id)
		if err == nil && s.follows && (wait || db.Dialect() == dbctx.SQLite) {
			m, err = a.awaitImport(ctx, db, q, id)
		}
		if err != nil {
			return err
		}
		v := newImported(m)
		return a.print(v, func() { a.showImported(v) })
	})
}
