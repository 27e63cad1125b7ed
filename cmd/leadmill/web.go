package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/leadmill/leadmill/jobs"
	"github.com/leadmill/leadmill/web"
)

func (a *app) webCommand() *cobra.Command {
	return &cobra.Command{
		Use: "web", Short: "Serve the API and the pages", Args: cobra.NoArgs,
		Long:    "Serves the API and the pages on ADDR, else on 0.0.0.0:PORT, else on\n127.0.0.1:8080. It enqueues jobs; leadmill worker works them.",
		Example: "  PORT=8080 leadmill web",
		RunE:    func(c *cobra.Command, _ []string) error { return a.web(c.Context()) },
	}
}

func (a *app) web(ctx context.Context) error {
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
	s, err := web.New(db, q, web.Config{Logger: a.log, Secure: !a.settings.InsecureCookies})
	if err != nil {
		return err
	}
	l, err := listen(a.settings.address())
	if err != nil {
		return err
	}
	a.log.Info("web is ready", "address", l.Addr().String(), "database", db.String())
	return serve(ctx, s.HTTPServer(), l, s.Stopping)
}

func listen(address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("%w; choose another with ADDR=127.0.0.1:8081", err)
	}
	return l, nil
}

// drainLimit is how long requests may take to end after a signal.
const drainLimit = 20 * time.Second

// serve answers until ctx ends, then turns readiness off and lets the open requests end.
func serve(ctx context.Context, server *http.Server, l net.Listener, stopping func()) error {
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	stopping()
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainLimit)
	defer cancel()
	err := server.Shutdown(drain)
	if errors.Is(err, context.DeadlineExceeded) {
		return server.Close()
	}
	return err
}
