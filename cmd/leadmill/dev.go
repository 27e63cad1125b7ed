package main

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"

	"github.com/spf13/cobra"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/jobs"
	"github.com/leadmill/leadmill/schema"
	"github.com/leadmill/leadmill/web"
)

// sample are 500 messy rows of people who do not exist.
//
//go:embed sample.csv
var sample []byte

func (a *app) devCommand() *cobra.Command {
	var once bool
	c := a.jsonFlag(&cobra.Command{
		Use: "dev", Short: "Try it: everything in one process", Args: cobra.NoArgs,
		Long: "Migrates, feeds a sample of 500 messy rows if the database is empty, serves on\n" +
			"127.0.0.1 without a log-in, works the jobs and delivers to a receiver of its own\n" +
			"that checks every signature. --once ends when the sample is through.",
		Example: "  leadmill dev\n  leadmill dev --once",
		RunE:    func(c *cobra.Command, _ []string) error { return a.dev(c.Context(), once) },
	})
	c.Flags().BoolVar(&once, "once", false, "end when the sample is through and print the funnel")
	return c
}

func (a *app) dev(ctx context.Context, once bool) (err error) {
	hurry := atOnce(ctx)
	db, err := a.connect(ctx, false)
	if err != nil {
		return err
	}
	defer closeSoon(db.Close)
	if err := jobs.Migrate(ctx, db); err != nil {
		return err
	}
	r, err := startReceiver()
	if err != nil {
		return err
	}
	defer r.close()
	key, err := a.furnish(ctx, db, r)
	if err != nil {
		return err
	}
	metrics := web.NewMetrics(db)
	q, err := jobs.Open(ctx, db, jobs.Options{Logger: a.log, OnDone: metrics.ObserveDone})
	if err != nil {
		return err
	}
	defer closeSoon(q.Close)
	if err := q.Start(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, q.Stop(hurry)) }()
	if err := feed(ctx, db, q); err != nil {
		return err
	}
	if err := ownAll(ctx, db, q); err != nil {
		return err
	}
	if once {
		return a.devOnce(ctx, db, q, r)
	}
	return a.devServe(ctx, db, q, r, metrics, key)
}

// feed imports the sample into a database that has never seen a submission.
func feed(ctx context.Context, db *dbctx.DB, q *jobs.Queue) error {
	var has bool
	err := dbctx.Run(ctx, db, func(ctx context.Context, tx *dbctx.Tx) (err error) {
		has, err = schema.HasIntakes(ctx, tx)
		return err
	}, dbctx.ReadOnly())
	if err != nil || has {
		return err
	}
	_, _, err = q.TakeFile(ctx, "sample", "sample.csv", bytes.NewReader(sample))
	return err
}

// ownAll finds owners for leads that came before there was any, by an import for example.
func ownAll(ctx context.Context, db *dbctx.DB, q *jobs.Queue) error {
	return dbctx.Run(ctx, db, func(ctx context.Context, tx *dbctx.Tx) error {
		return q.Enqueue(ctx, tx, jobs.RouteLeads{})
	})
}

// owners share the sample's leads; they have no password and cannot log in.
var owners = []schema.User{
	{Email: "olivia@example.com", Name: "Olivia", Role: "viewer", Weight: 3},
	{Email: "pedro@example.com", Name: "Pedro", Role: "viewer", Weight: 2},
	{Email: "quinn@example.com", Name: "Quinn", Role: "viewer", Weight: 1},
}

// furnish makes owners where there is no user, a source, and the destination that leads to the receiver. It returns
// the source's key, new at every start: only its hash is kept.
func (a *app) furnish(ctx context.Context, db *dbctx.DB, r *receiver) (key string, err error) {
	key, hash := jobs.NewKey()
	return key, dbctx.Run(ctx, db, func(ctx context.Context, tx *dbctx.Tx) error {
		users, err := schema.ListUsers(ctx, tx)
		if err != nil {
			return err
		}
		if len(users) == 0 {
			for _, u := range owners {
				if _, err := schema.InsertUser(ctx, tx, u, now()); err != nil {
					return err
				}
			}
		}
		if _, err := schema.EnsureSource(ctx, tx, "dev", now()); err != nil {
			return err
		}
		if err := schema.RotateKey(ctx, tx, "dev", hash, now(), 0); err != nil {
			return err
		}
		_, err = schema.UpsertDestination(ctx, tx, schema.Destination{
			Name: "dev-receiver", URL: r.url, Secret: r.secret, AllowPrivate: true,
		}, now())
		return err
	})
}

// devOnce waits for the sample and prints the funnel.
func (a *app) devOnce(ctx context.Context, db *dbctx.DB, q *jobs.Queue, r *receiver) error {
	if err := awaitIdle(ctx, q); err != nil {
		return err
	}
	var f schema.FunnelCounts
	err := dbctx.Run(ctx, db, func(ctx context.Context, tx *dbctx.Tx) (err error) {
		f, err = schema.Funnel(ctx, tx, now().AddDate(-1000, 0, 0))
		return err
	}, dbctx.ReadOnly())
	if err != nil {
		return err
	}
	if n := r.refused(); n > 0 {
		return fmt.Errorf("the receiver refused the signature of %d deliveries", n)
	}
	return a.print(f, func() { a.funnel(f) })
}

func (a *app) devServe(ctx context.Context, db *dbctx.DB, q *jobs.Queue, r *receiver, m *web.Metrics, key string) error {
	s, err := web.New(db, q, web.Config{Logger: a.log, Dev: true, Metrics: m, ImportMaxBytes: int64(a.settings.ImportMaxBytes)})
	if err != nil {
		return err
	}
	address := a.settings.address()
	if _, port, err := net.SplitHostPort(address); err == nil {
		address = net.JoinHostPort("127.0.0.1", port) // no log-in, so nobody else
	}
	l, err := listen(address)
	if err != nil {
		return err
	}
	a.welcome("http://"+l.Addr().String(), r.url, key, db)
	return serve(ctx, atOnce(ctx), s.HTTPServer(), l, s.Stopping)
}

func (a *app) welcome(url, receiver, key string, db *dbctx.DB) {
	fmt.Fprintf(a.stdout, `leadmill is open on %s
  database   %s
  receiver   %s

Post a lead:
  curl -i %s/api/v1/leads \
    -H 'Authorization: Bearer %s' \
    -H 'Content-Type: application/json' \
    -d '{"email":"ada@example.com","name":"ada lovelace"}'

Ctrl-C ends it.
`, url, db, receiver, url, key)
}
