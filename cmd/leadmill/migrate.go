package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/jobs"
)

func (a *app) migrateCommand() *cobra.Command {
	var wait time.Duration
	up := &cobra.Command{
		Use: "up", Short: "Apply pending migrations", Args: cobra.NoArgs,
		Long:    "Applies what is pending. Any number of processes may do it at once; doing it\nagain changes nothing.",
		Example: "  leadmill migrate up --wait 60s",
		RunE:    func(c *cobra.Command, _ []string) error { return a.migrateUp(c.Context(), wait) },
	}
	up.Flags().DurationVar(&wait, "wait", 0, "wait that long for a database that is still starting")
	status := a.jsonFlag(&cobra.Command{
		Use: "status", Short: "List migrations", Example: "  leadmill migrate status --json", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.migrateStatus(c.Context()) },
	})
	return group("migrate", "Bring the tables up to date", "  leadmill migrate up", up, status)
}

func (a *app) migrateUp(ctx context.Context, wait time.Duration) error {
	db, err := a.await(ctx, wait)
	if err != nil {
		return err
	}
	defer db.Close()
	before, err := jobs.Pending(ctx, db)
	if err != nil {
		return err
	}
	if err := jobs.Migrate(ctx, db); err != nil {
		return err
	}
	a.say("%s is up to date, %d migrations applied", db, before)
	return nil
}

// await opens the database, and for that long takes "nothing answers" for "not yet".
func (a *app) await(ctx context.Context, wait time.Duration) (*dbctx.DB, error) {
	a.small()
	if wait > 0 {
		a.settings.ConnectAttempts = 1
	}
	deadline := time.Now().Add(wait)
	for {
		db, err := a.connect(ctx, true)
		if err == nil || !errors.Is(err, dbctx.ErrUnreachable) || !time.Now().Before(deadline) {
			return db, err
		}
		a.log.Info("waiting for the database", "for", time.Until(deadline).Round(time.Second))
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", err, ctx.Err())
		}
	}
}

// migration is a line of migrate status.
type migration struct {
	Name    string     `json:"name"`
	Applied bool       `json:"applied"`
	At      *time.Time `json:"at"`
}

func (a *app) migrateStatus(ctx context.Context) error {
	db, err := a.await(ctx, 0)
	if err != nil {
		return err
	}
	defer db.Close()
	steps, err := jobs.Status(ctx, db)
	if err != nil {
		return err
	}
	list := []migration{}
	var rows [][]string
	for _, s := range steps {
		list = append(list, migration{s.Name, s.Applied, s.At})
		state := "pending"
		if s.Applied {
			state = "applied"
		}
		rows = append(rows, []string{s.Name, state, when(s.At)})
	}
	return a.print(list, func() { a.table([]string{"MIGRATION", "STATE", "AT"}, rows) })
}
