package main

import (
	"context"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/schema"
)

// hooks looks for those through which no lead can come before a person has done something.
func (c *checkup) hooks(ctx context.Context, db *dbctx.DB) {
	var all []schema.Hook
	err := dbctx.Run(ctx, db, func(ctx context.Context, tx *dbctx.Tx) (err error) {
		all, err = schema.ListHooks(ctx, tx)
		return err
	}, dbctx.ReadOnly())
	if err != nil {
		c.ill("hooks", "check the rights of the user", "cannot be read: %v", err)
		return
	}
	for _, h := range all {
		if h.Problem != "" {
			c.ill("hooks", "do what it says, then leadmill jobs retry --all --kind fetch_meta_lead", "%s of %s: %s", h.Kind, h.Source, h.Problem)
		}
	}
}
