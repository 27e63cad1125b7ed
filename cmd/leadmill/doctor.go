package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/jobs"
	"github.com/leadmill/leadmill/schema"
)

func (a *app) doctorCommand() *cobra.Command {
	return a.jsonFlag(&cobra.Command{
		Use: "doctor", Short: "Say what is found, what is missing, and the cure", Args: cobra.NoArgs,
		Example: "  leadmill doctor",
		RunE:    func(c *cobra.Command, _ []string) error { return a.doctor(c.Context()) },
	})
}

// finding is one thing that was looked at.
type finding struct {
	What string `json:"what"`
	OK   bool   `json:"ok"`
	Says string `json:"says"`
	Cure string `json:"cure,omitempty"`
}

// checkup collects findings.
type checkup struct {
	a        *app
	findings []finding
}

func (c *checkup) fine(what, format string, args ...any) {
	c.findings = append(c.findings, finding{What: what, OK: true, Says: fmt.Sprintf(format, args...)})
}

func (c *checkup) ill(what, cure, format string, args ...any) {
	c.findings = append(c.findings, finding{What: what, Says: fmt.Sprintf(format, args...), Cure: cure})
}

var errIll = errors.New("something needs a cure")

func (a *app) doctor(ctx context.Context) error {
	c := &checkup{a: a}
	processes := a.settings
	a.small()
	a.settings.ConnectAttempts = 1
	c.port(processes)
	c.database(ctx, processes)
	healthy := true
	for _, f := range c.findings {
		healthy = healthy && f.OK
	}
	err := a.print(c.findings, func() { a.showFindings(c.findings) })
	if err == nil && !healthy {
		err = errIll
	}
	return err
}

func (a *app) showFindings(findings []finding) {
	for _, f := range findings {
		mark := "ok  "
		if !f.OK {
			mark = "ILL "
		}
		fmt.Fprintf(a.stdout, "%s %-12s %s\n", mark, f.What, f.Says)
		if f.Cure != "" {
			fmt.Fprintf(a.stdout, "     %-12s cure: %s\n", "", f.Cure)
		}
	}
}

func (c *checkup) port(s settings) {
	l, err := net.Listen("tcp", s.address())
	if err != nil {
		c.ill("address", "set ADDR=127.0.0.1:8081, or end what listens there (leadmill itself?)", "%s is taken", s.address())
		return
	}
	l.Close()
	c.fine("address", "%s is free", s.address())
}

func (c *checkup) database(ctx context.Context, processes settings) {
	db, err := c.a.connect(ctx, true)
	if err != nil {
		what, cure, _ := strings.Cut(err.Error(), ";")
		c.ill("database", strings.TrimSpace(cure), "%s", what)
		return
	}
	defer db.Close()
	c.fine("database", "%s answers", db)
	c.server(ctx, db, processes)
	pending, err := jobs.Pending(ctx, db)
	switch {
	case err != nil:
		c.ill("migrations", "check the rights of the user", "cannot be read: %v", err)
	case pending > 0:
		c.ill("migrations", "leadmill migrate up", "%d are pending", pending)
	default:
		c.fine("migrations", "all are applied")
		c.contents(ctx, db)
		c.producers(ctx, db)
		c.workers(ctx, db)
		c.hooks(ctx, db)
	}
}

// largestSkew between the clocks of this machine and the database that hurts nobody.
const largestSkew = 5 * time.Second

func (c *checkup) server(ctx context.Context, db *dbctx.DB, s settings) {
	var info schema.Server
	start := time.Now()
	err := dbctx.Run(ctx, db, func(ctx context.Context, tx *dbctx.Tx) (err error) {
		info, err = schema.ServerInfo(ctx, tx)
		return err
	}, dbctx.ReadOnly())
	if err != nil {
		c.ill("server", "check the rights of the user", "cannot be asked: %v", err)
		return
	}
	c.fine("server", "%s, answers in %s", info.Version, time.Since(start).Round(100*time.Microsecond))
	if skew := time.Until(info.Clock).Abs(); skew > largestSkew {
		c.ill("clock", "run a time service on both machines", "differs by %s from the database's", skew.Round(time.Second))
	} else {
		c.fine("clock", "agrees with the database's")
	}
	if info.MaxConnections == 0 {
		return
	}
	if db.Pooled() {
		c.fine("pooler", "stands before the server: jobs are polled for, 5 times a second, and nothing is prepared")
	}
	const river = 5 // connections of the queue, besides the pool
	need := s.PoolSize + s.MaxOverflow + river
	if need > info.MaxConnections-3 {
		c.ill("pool", "lower DB_POOL_SIZE or DB_MAX_OVERFLOW, or raise max_connections",
			"a process may open %d connections, the server allows %d in all", need, info.MaxConnections)
		return
	}
	c.fine("pool", "%d connections a process at most, room for %d such processes", need, (info.MaxConnections-3)/need)
}

// contents says what a pipeline needs and does not have yet.
func (c *checkup) contents(ctx context.Context, db *dbctx.DB) {
	var sources []schema.Source
	var users []schema.User
	var destinations []schema.Destination
	err := dbctx.Run(ctx, db, func(ctx context.Context, tx *dbctx.Tx) (err error) {
		if sources, err = schema.ListSources(ctx, tx); err != nil {
			return err
		}
		if users, err = schema.ListUsers(ctx, tx); err != nil {
			return err
		}
		destinations, err = schema.ListDestinations(ctx, tx)
		return err
	}, dbctx.ReadOnly())
	if err != nil {
		c.ill("contents", "check the rights of the user", "cannot be read: %v", err)
		return
	}
	c.some("sources", len(sources), "leadmill source add web-form")
	owners := 0
	for _, u := range users {
		if u.Active && u.Weight > 0 {
			owners++
		}
	}
	c.some("owners", owners, "leadmill user add you@example.com --role admin --weight 1")
	c.some("destinations", len(destinations), "leadmill destination add crm --url https://crm.example/hooks/leads")
	for _, d := range destinations {
		if !d.Active {
			c.ill("destination", "leadmill destination start "+d.Name, "%s is stopped: %s", d.Name, d.StoppedReason)
		}
	}
}

func (c *checkup) some(what string, n int, cure string) {
	if n == 0 {
		c.ill(what, cure, "there are none")
		return
	}
	c.fine(what, "%d", n)
}

// producers says whether other programs on the database can put leads in. Where none wants to, nothing is ill.
func (c *checkup) producers(ctx context.Context, db *dbctx.DB) {
	if db.Dialect() == dbctx.SQLite {
		return
	}
	var cure string
	err := dbctx.Run(ctx, db, func(ctx context.Context, tx *dbctx.Tx) (err error) {
		cure, err = schema.Producers(ctx, tx)
		return err
	}, dbctx.ReadOnly())
	switch {
	case err != nil:
		c.ill("sql", "check the rights of the user", "cannot be asked for enqueue_lead: %v", err)
	case cure != "":
		c.fine("sql", "only the owner may call enqueue_lead; for others: %s", cure)
	default:
		c.fine("sql", "members of leadmill_producer may call enqueue_lead")
	}
}

// workers says who works, and what waits for somebody who does not.
func (c *checkup) workers(ctx context.Context, db *dbctx.DB) {
	s, err := readStatus(ctx, db)
	if err != nil {
		c.ill("workers", "check the rights of the user", "cannot be read: %v", err)
		return
	}
	running := 0
	for _, w := range s.Workers {
		running += w.Running
		if w.Stalled {
			c.ill("worker", "its jobs go on elsewhere by themselves; look at the machine, then end the process",
				"%s, process %d, was last heard of %.0f s ago", w.Host, w.PID, w.Silent)
		}
	}
	switch {
	case len(s.Workers) > 0:
		c.fine("workers", "%d, with %d running jobs", len(s.Workers), running)
	case s.Oldest > 60:
		c.ill("workers", "leadmill worker", "none runs, and a job has waited for %.0f s", s.Oldest)
	default:
		c.fine("workers", "none runs, and none is missed")
	}
	for _, kind := range s.Unknown {
		c.ill("jobs", "start the release that knows it; after a quarter of an hour they are parked: leadmill jobs list --kind "+kind,
			"some of kind %s wait, and no running release knows it", kind)
	}
}
