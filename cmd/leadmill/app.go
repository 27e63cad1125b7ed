package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/jobs"
	"github.com/leadmill/leadmill/schema"
)

// app is what the commands share.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	environ        []string

	settings settings
	origins  map[string]string // of each setting: flag, environment, .env or default
	log      *slog.Logger
	flags    struct{ databaseURL, logLevel string }
	json     bool
	started  bool // the command line was understood
}

// commands is the table of contents.
func (a *app) commands() *cobra.Command {
	root := &cobra.Command{
		Use:   "leadmill",
		Short: "The lead pipeline you can trust",
		Long: "leadmill takes leads in from forms, programs and files, and cleans, matches,\n" +
			"scores, routes and delivers them: each step in one commit, once.",
		Example:       "  leadmill dev                 try it: no set-up, SQLite\n  leadmill web & leadmill worker   run it on DATABASE_URL",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
		PersistentPreRunE: func(*cobra.Command, []string) error {
			if err := a.load(); err != nil {
				return err
			}
			a.started = true
			return nil
		},
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetUsageTemplate(strings.NewReplacer(
		".FlagUsages", ".FlagUsagesWrapped 80",
		`Use "{{.CommandPath}} [command] --help" for more information about a command.`, "{{.CommandPath}} COMMAND --help tells more.",
	).Replace(root.UsageTemplate()))
	root.PersistentFlags().StringVar(&a.flags.databaseURL, "database-url", "", "the database")
	root.PersistentFlags().Lookup("database-url").DefValue = "$DATABASE_URL"
	root.PersistentFlags().StringVar(&a.flags.logLevel, "log-level", "", "trace, debug, info, warn or error")
	root.PersistentFlags().Lookup("log-level").DefValue = "$LOG_LEVEL"
	root.AddCommand(
		a.devCommand(), a.webCommand(), a.workerCommand(), a.migrateCommand(),
		a.importCommand(), a.leadsCommand(), a.jobsCommand(), a.cronCommand(), a.statusCommand(),
		a.sourceCommand(), a.hookCommand(), a.userCommand(), a.destinationCommand(), a.deliveryCommand(),
		a.benchCommand(), a.configCommand(), a.doctorCommand(), a.versionCommand(),
	)
	return root
}

// group is a command that only has others below it.
func group(use, short, example string, commands ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{
		Use: use, Short: short, Example: example, Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(commands...)
	return c
}

// jsonFlag is for commands that print data.
func (a *app) jsonFlag(c *cobra.Command) *cobra.Command {
	c.Flags().BoolVar(&a.json, "json", false, "print JSON")
	return c
}

// connect opens the database as it is.
func (a *app) connect(ctx context.Context, durable bool) (*dbctx.DB, error) {
	return dbctx.Open(ctx, a.settings.DatabaseURL, a.pool(durable))
}

func (a *app) pool(durable bool) dbctx.Pool {
	s := a.settings
	overflow := s.MaxOverflow
	if overflow == 0 {
		overflow = -1
	}
	return dbctx.Pool{
		Size: s.PoolSize, MaxOverflow: overflow, Recycle: time.Duration(s.PoolRecycle) * time.Second,
		NoPrePing: !s.PoolPrePing, ConnectAttempts: s.ConnectAttempts, ConnectDelay: s.ConnectDelay,
		Echo: s.Debug, Durable: durable, Logger: a.log,
	}
}

// open opens a database whose tables are of this release. SQLite is brought up to date, PostgreSQL must be.
func (a *app) open(ctx context.Context) (*dbctx.DB, error) { return a.openPool(ctx, a.pool(true)) }

// openToWork opens it for the processes that work jobs.
func (a *app) openToWork(ctx context.Context) (*dbctx.DB, error) {
	p := a.pool(true)
	p.Settings = schema.ByKey
	return a.openPool(ctx, p)
}

func (a *app) openPool(ctx context.Context, p dbctx.Pool) (*dbctx.DB, error) {
	db, err := dbctx.Open(ctx, a.settings.DatabaseURL, p)
	if err != nil {
		return nil, err
	}
	if err := a.patiently(ctx, func() error { return current(ctx, db) }); err != nil {
		db.Close()
		return nil, err
	}
	return db, nil
}

// patiently tries again what fails because the database is away, as often as it is tried to connect.
func (a *app) patiently(ctx context.Context, do func() error) error {
	for attempt := 1; ; attempt++ {
		err := do()
		if err == nil || attempt >= a.settings.ConnectAttempts || !dbctx.IsUnavailable(err) {
			return err
		}
		a.log.Warn("the database has gone away", "attempt", attempt, "of", a.settings.ConnectAttempts, "next_in", a.settings.ConnectDelay)
		select {
		case <-ctx.Done():
			return err
		case <-time.After(a.settings.ConnectDelay):
		}
	}
}

func current(ctx context.Context, db *dbctx.DB) error {
	if db.Dialect() == dbctx.SQLite {
		return jobs.Migrate(ctx, db)
	}
	pending, err := jobs.Pending(ctx, db)
	if err != nil {
		return err
	}
	if pending > 0 {
		return fmt.Errorf("%w (%d at %s)", errPending, pending, db)
	}
	return nil
}

// small makes the pool of a command that runs and ends: one connection is enough, and servers have few to give.
func (a *app) small() {
	a.settings.PoolSize, a.settings.MaxOverflow = 1, 3
}

// inScope runs fn in one scope on the database.
func (a *app) inScope(ctx context.Context, fn func(ctx context.Context, tx *dbctx.Tx) error, options ...dbctx.Option) error {
	a.small()
	db, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	return dbctx.Run(ctx, db, fn, options...)
}

// withQueue runs fn with a queue that works nothing by itself.
func (a *app) withQueue(ctx context.Context, fn func(db *dbctx.DB, q *jobs.Queue) error) error {
	a.small()
	db, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	q, err := jobs.Open(ctx, db, jobs.Options{Logger: a.log})
	if err != nil {
		return err
	}
	defer q.Close()
	return fn(db, q)
}

// now is the time that commands write.
func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }
