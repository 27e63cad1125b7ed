package main

import (
	"context"
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
		Long: "Serves the API and the pages on ADDR, else on 0.0.0.0:PORT, else on\n" +
			"127.0.0.1:8080. It enqueues jobs; leadmill worker works them. After SIGTERM or\n" +
			"Ctrl-C open requests may end for 20 s; a second signal cuts them off.",
		Example: "  PORT=8080 leadmill web",
		RunE:    func(c *cobra.Command, _ []string) error { return a.web(c.Context()) },
	}
}

func (a *app) web(ctx context.Context) (err error) {
	hurry := atOnce(ctx)
	defer func() { err = unlessAsked(ctx, err) }()
	db, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer closeSoon(db.Close)
	q, err := jobs.Open(ctx, db, jobs.Options{Logger: a.log})
	if err != nil {
		return err
	}
	defer closeSoon(q.Close)
	s, err := web.New(db, q, web.Config{Logger: a.log, Secure: !a.settings.InsecureCookies, ImportMaxBytes: int64(a.settings.ImportMaxBytes)})
	if err != nil {
		return err
	}
	l, err := listen(a.settings.address())
	if err != nil {
		return err
	}
	a.log.Info("web is ready", "address", l.Addr().String(), "database", db.String())
	return serve(ctx, hurry, s.HTTPServer(), l, s.Stopping)
}

func listen(address string) (net.Listener, error) {
	var plain net.ListenConfig
	plain.SetMultipathTCP(false) // its sockets know no filters, and closeDoor needs one
	l, err := plain.Listen(context.Background(), "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("%w; choose another with ADDR=127.0.0.1:8081", err)
	}
	return l, nil
}

// Limits of a drain.
const (
	drainLimit = 20 * time.Second // for the open requests to end after a signal
	drainPause = time.Second      // in which clients learn that the connections they keep are about to close
)

// serve answers until ctx ends, then turns readiness off and lets the open requests end; hurry cuts them off.
//
// Between the two it goes on answering for drainPause, and says with each answer that the connection closes. A client that
// keeps connections would otherwise send a request into one while it closes, and could not know whether it was taken. For the
// same reason the door closes before the listener does.
func serve(ctx, hurry context.Context, server *http.Server, l net.Listener, stopping func()) error {
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	stopping()
	drain, cancel := context.WithTimeout(hurry, drainLimit)
	defer cancel()
	select {
	case <-time.After(drainPause):
	case <-hurry.Done():
	}
	closeDoor(drain, l)
	err := server.Shutdown(drain)
	if drain.Err() != nil {
		err = server.Close()
	}
	if hurry.Err() != nil {
		return fmt.Errorf("stopped at once, open requests were cut off: %w", hurry.Err())
	}
	return err
}
