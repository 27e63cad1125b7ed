package main

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/jobs"
	"github.com/leadmill/leadmill/web"
)

func (a *app) workerCommand() *cobra.Command {
	var queues []string
	var concurrency int
	c := &cobra.Command{
		Use: "worker", Short: "Work jobs", Args: cobra.NoArgs,
		Long: "Works jobs until SIGTERM or Ctrl-C; running ones may then finish for 20 s, the\n" +
			"rest goes back to the queue. A second signal sends them back at once (exit code\n" +
			"130), a third kills. A job that does not end when it must is parked, and the\n" +
			"process drains and ends with 1, so that its supervisor starts another. With\n" +
			"WORKER_HTTP_ADDR it serves /healthz, /readyz and /metrics.",
		Example: "  leadmill worker --queues live,outbound --concurrency 50",
		RunE: func(c *cobra.Command, _ []string) error {
			if !c.Flags().Changed("concurrency") {
				concurrency = a.settings.Concurrency
			}
			return a.worker(c.Context(), queues, concurrency)
		},
	}
	c.Flags().StringSliceVar(&queues, "queues", nil, "of "+strings.Join(jobs.AllQueues, ",")+" (default all)")
	c.Flags().IntVar(&concurrency, "concurrency", 0, "jobs at once (default: as many as suit the database)")
	c.Flags().Lookup("concurrency").DefValue = "$WORKER_CONCURRENCY"
	return c
}

func (a *app) worker(ctx context.Context, queues []string, concurrency int) (err error) {
	hurry := atOnce(ctx)
	defer func() { err = unlessAsked(ctx, err) }()
	if concurrency < 0 {
		return usagef("--concurrency is %d, want at least 1", concurrency)
	}
	if err := knownQueues(queues); err != nil {
		return err
	}
	db, err := a.openToWork(ctx)
	if err != nil {
		return err
	}
	defer closeSoon(db.Close)
	metrics := web.NewMetrics(db)
	q, err := jobs.Open(ctx, db, jobs.Options{Queues: queues, Concurrency: concurrency, Logger: a.log, OnDone: metrics.ObserveDone})
	if err != nil {
		return err
	}
	defer closeSoon(q.Close)
	var stopping atomic.Bool
	end, err := a.serveHealth(db, metrics, stopping.Load)
	if err != nil {
		return err
	}
	defer end()
	if err := a.patiently(ctx, func() error { return q.Start(context.WithoutCancel(ctx)) }); err != nil {
		return err
	}
	a.log.Info("worker is ready", "queues", queues, "database", db.String())
	select {
	case <-ctx.Done():
	case <-q.Stuck():
		err = jobs.ErrStuck
	}
	stopping.Store(true)
	a.log.Info("worker is stopping")
	return errors.Join(err, q.Stop(hurry))
}

func knownQueues(queues []string) error {
	for _, name := range queues {
		known := false
		for _, one := range jobs.AllQueues {
			known = known || one == name
		}
		if !known {
			return usagef("--queues names %q, want some of %s", name, strings.Join(jobs.AllQueues, ","))
		}
	}
	return nil
}

// serveHealth answers on WORKER_HTTP_ADDR, if there is one, until end is called.
func (a *app) serveHealth(db *dbctx.DB, m *web.Metrics, stopping func() bool) (end func(), err error) {
	if a.settings.WorkerHTTPAddr == "" {
		return func() {}, nil
	}
	l, err := listen(a.settings.WorkerHTTPAddr)
	if err != nil {
		return nil, err
	}
	server := &http.Server{Handler: web.HealthHandler(db, m, stopping), ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = server.Serve(l) }()
	return func() { _ = server.Close() }, nil
}
