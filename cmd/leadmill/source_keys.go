package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/jobs"
	"github.com/leadmill/leadmill/schema"
)

func (a *app) sourceKeysCommand() *cobra.Command {
	return a.jsonFlag(&cobra.Command{
		Use: "keys NAME", Short: "List the keys of a source, without what they are", Args: cobra.ExactArgs(1),
		Long:    "Lists the keys of a source. The id of a key is the beginning of its SHA-256;\nits last use is written to the minute.",
		Example: "  leadmill source keys web-form",
		RunE:    func(c *cobra.Command, args []string) error { return a.sourceKeys(c.Context(), args[0]) },
	})
}

func (a *app) sourceRotateCommand() *cobra.Command {
	var overlap time.Duration
	c := a.jsonFlag(&cobra.Command{
		Use: "rotate NAME", Short: "Give a source a new key", Args: cobra.ExactArgs(1),
		Long: "Gives a source a new key and prints it, once. The old keys end at once, or after\n" +
			"the overlap, in which both are taken. Processes that serve notice within a\nsecond.",
		Example: "  leadmill source rotate web-form --overlap 24h",
		RunE:    func(c *cobra.Command, args []string) error { return a.sourceRotate(c.Context(), args[0], overlap) },
	})
	c.Flags().DurationVar(&overlap, "overlap", 0, "how long the old keys are taken besides (default: not at all)")
	return c
}

func (a *app) sourceRevokeCommand() *cobra.Command {
	return &cobra.Command{
		Use: "revoke NAME KEY_ID", Short: "End one key of a source", Args: cobra.ExactArgs(2),
		Long: "Ends one key of a source; its others stay. Processes that serve notice within a\n" +
			"second. leadmill source keys NAME lists the ids.",
		Example: "  leadmill source revoke web-form 3f8a01c2d4",
		RunE: func(c *cobra.Command, args []string) error {
			return a.inScope(c.Context(), func(ctx context.Context, tx *dbctx.Tx) error {
				return schema.RevokeKey(ctx, tx, args[0], args[1])
			})
		},
	}
}

func (a *app) sourceRotate(ctx context.Context, name string, overlap time.Duration) error {
	if overlap < 0 {
		return usagef("--overlap is %s, want 0 or more", overlap)
	}
	key, hash := jobs.NewKey()
	err := a.inScope(ctx, func(ctx context.Context, tx *dbctx.Tx) error {
		return schema.RotateKey(ctx, tx, name, hash, now(), overlap)
	})
	if err != nil {
		return err
	}
	return a.printKey(name, key)
}

func (a *app) sourceKeys(ctx context.Context, name string) error {
	type key struct {
		ID        string     `json:"id"`
		CreatedAt time.Time  `json:"created_at"`
		ExpiresAt *time.Time `json:"expires_at"`
		UsedAt    *time.Time `json:"used_at"`
	}
	list, rows := []key{}, [][]string{}
	err := a.inScope(ctx, func(ctx context.Context, tx *dbctx.Tx) error {
		s, err := schema.SourceByName(ctx, tx, name)
		if err != nil {
			return err
		}
		all, err := schema.ListKeys(ctx, tx, s.ID)
		for _, k := range all {
			list = append(list, key(k))
			rows = append(rows, []string{k.ID, when(&k.CreatedAt), when(k.ExpiresAt), when(k.UsedAt)})
		}
		return err
	}, dbctx.ReadOnly())
	if err != nil {
		return err
	}
	return a.print(list, func() { a.table([]string{"KEY", "SINCE", "ENDS", "USED"}, rows) })
}
