package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/jobs"
	"github.com/leadmill/leadmill/lead"
	"github.com/leadmill/leadmill/schema"
)

func (a *app) benchCommand() *cobra.Command {
	var unit string
	var n, leads int
	c := a.jsonFlag(&cobra.Command{
		Use: "bench", Short: "Measure the speed on an empty database", Args: cobra.NoArgs,
		Long: "Measures what this machine and DATABASE_URL do together, through the real queue:\n" +
			"--unit job reads a lead, changes it, adds an event; --unit pipeline takes stored\n" +
			"submissions, 500 in a job, to scored, owned leads with their keys and events;\n" +
			"there is no destination, so no deliveries. It refuses a database that holds\n" +
			"leads.",
		Example: "  leadmill bench --unit pipeline --leads 20000 --json",
		RunE: func(c *cobra.Command, _ []string) error {
			switch unit {
			case "job":
				return a.bench(c.Context(), "job", n, n, enqueueBenchJobs)
			case pipeline:
				return a.bench(c.Context(), pipeline, leads, (leads+benchChunk-1)/benchChunk, enqueueBenchLeads)
			}
			return usagef("--unit is %q, want job or pipeline", unit)
		},
	})
	c.Flags().StringVar(&unit, "unit", "job", "job or pipeline")
	c.Flags().IntVar(&n, "jobs", 20000, "how many, with --unit job")
	c.Flags().IntVar(&leads, "leads", 20000, "how many, with --unit pipeline")
	return c
}

const pipeline = "pipeline"

// measured is one line of a benchmark. CPU is in microseconds for each unit; null where it cannot be told.
type measured struct {
	Name      string   `json:"name"`
	Jobs      int      `json:"jobs"` // leads, with --unit pipeline
	Leads     int      `json:"leads,omitempty"`
	Seconds   float64  `json:"seconds"`
	Rate      float64  `json:"jobs_per_s"`
	LeadRate  float64  `json:"leads_per_s,omitempty"`
	ClientCPU *float64 `json:"client_cpu_us"`
	PgCPU     *float64 `json:"pg_cpu_us"`
}

// enqueuing stores what a benchmark works and its jobs.
type enqueuing func(ctx context.Context, db *dbctx.DB, q *jobs.Queue, n int) error

func (a *app) bench(ctx context.Context, name string, n, scopes int, enqueue enqueuing) error {
	if n < 1 {
		return usagef("want at least 1")
	}
	db, err := a.openToWork(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	if err := refuseLeads(ctx, db); err != nil {
		return err
	}
	q, err := jobs.Open(ctx, db, jobs.Options{Logger: a.log, Concurrency: a.settings.Concurrency})
	if err != nil {
		return err
	}
	defer q.Close()
	if err := enqueue(ctx, db, q, n); err != nil {
		return err
	}
	m, err := measure(ctx, db, q, name, n, scopes)
	if err != nil {
		return err
	}
	return a.print(m, func() { fmt.Fprintf(a.stdout, "%s: %d in %.2f s, %.0f/s\n", name, n, m.Seconds, m.Rate) })
}

// measure works what is enqueued. It starts to count when a twentieth is done, so that starting up is no part of it, and
// stops with the last.
func measure(ctx context.Context, db *dbctx.DB, q *jobs.Queue, name string, n, scopes int) (m measured, err error) {
	hurry, before := atOnce(ctx), db.Stats().Ended
	if err := q.Start(context.WithoutCancel(ctx)); err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, q.Stop(hurry)) }()
	if err := awaitScopes(ctx, db, before+int64(scopes/20)); err != nil {
		return m, err
	}
	first := db.Stats().Ended - before
	cpu, start := startCPU(ctx, db), time.Now()
	if err := awaitScopes(ctx, db, before+int64(scopes)); err != nil {
		return m, err
	}
	if err := awaitIdle(ctx, q); err != nil {
		return m, err
	}
	took := time.Since(start).Seconds()
	counted := max(n-int(first)*n/scopes, 1) // a handful may be done before anybody looks
	m = measured{Name: name, Jobs: n, Seconds: took, Rate: float64(counted) / took}
	m.ClientCPU, m.PgCPU = cpu.each(counted)
	if name == pipeline {
		m.Leads, m.LeadRate = m.Jobs, m.Rate
	}
	return m, nil
}

// awaitScopes waits until so many scopes have ended, without asking the database.
func awaitScopes(ctx context.Context, db *dbctx.DB, ended int64) error {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for db.Stats().Ended < ended {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return nil
}

func refuseLeads(ctx context.Context, db *dbctx.DB) error {
	return dbctx.Run(ctx, db, func(ctx context.Context, tx *dbctx.Tx) error {
		has, err := schema.HasLeads(ctx, tx)
		if err == nil && has {
			return usagef("the database holds leads: name an empty one in DATABASE_URL")
		}
		return err
	}, dbctx.ReadOnly())
}

// benchChunk is how many are stored in one scope.
const benchChunk = 500

func enqueueBenchJobs(ctx context.Context, db *dbctx.DB, q *jobs.Queue, n int) error {
	return inChunks(ctx, db, n, func(ctx context.Context, tx *dbctx.Tx, from, to int) error {
		var leads []schema.Lead
		var list []jobs.Args
		for id := from + 1; id <= to; id++ {
			leads = append(leads, schema.Lead{State: schema.StateNew, Lead: lead.Lead{ID: int64(id), Fields: map[string]lead.Field{
				"email": {Value: fmt.Sprintf("bench%d@example.com", id)},
				"name":  {Value: fmt.Sprintf("Bench %d", id)},
			}}})
			list = append(list, jobs.BenchLead{LeadID: int64(id)})
		}
		schema.SaveLeads(tx, leads, now())
		return q.Enqueue(ctx, tx, list...)
	})
}

func enqueueBenchLeads(ctx context.Context, db *dbctx.DB, q *jobs.Queue, n int) error {
	var source schema.Source
	err := dbctx.Run(ctx, db, func(ctx context.Context, tx *dbctx.Tx) (err error) {
		if source, err = schema.EnsureSource(ctx, tx, "bench", now()); err != nil {
			return err
		}
		for _, u := range owners {
			if _, err := schema.InsertUser(ctx, tx, u, now()); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return inChunks(ctx, db, n, func(ctx context.Context, tx *dbctx.Tx, from, to int) error {
		var rows []schema.NewIntake
		for i := from; i < to; i++ {
			rows = append(rows, schema.NewIntake{SourceID: source.ID, Hash: fmt.Sprint(i), Payload: benchPayload(i)})
		}
		ids, err := schema.InsertRows(ctx, tx, rows, now())
		if err != nil {
			return err
		}
		return q.EnqueueRows(ctx, tx, source.ID, ids)
	})
}

// benchPayload is person i, who shares neither address nor number with another; the number is never called.
func benchPayload(i int) string {
	return fmt.Sprintf(`{"email":"bench%d@example.com","name":"Bench %d","phone":"+44 7400 %06d","company":"Bench %d Ltd","country":"GB"}`,
		i, i, i%1_000_000, i%500)
}

func inChunks(ctx context.Context, db *dbctx.DB, n int, fn func(ctx context.Context, tx *dbctx.Tx, from, to int) error) error {
	for from := 0; from < n; from += benchChunk {
		err := dbctx.Run(ctx, db, func(ctx context.Context, tx *dbctx.Tx) error {
			return fn(ctx, tx, from, min(from+benchChunk, n))
		})
		if err != nil {
			return err
		}
	}
	return nil
}
