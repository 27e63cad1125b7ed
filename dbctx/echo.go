package dbctx

import (
	"context"
	"log/slog"
	"time"
)

// echo logs statements for whoever debugs; the arguments are personal data and stay out.
type echo struct{ log *slog.Logger } // nil: silence

func newEcho(p Pool) echo {
	if !p.Echo || p.Logger == nil {
		return echo{}
	}
	return echo{p.Logger}
}

func (e echo) trip(ctx context.Context, batch []statement, start time.Time) {
	if e.log == nil {
		return
	}
	for _, s := range batch {
		e.statement(ctx, s.sql, start)
	}
}

func (e echo) statement(ctx context.Context, sql string, start time.Time) {
	if e.log != nil {
		e.log.InfoContext(ctx, "sql", "statement", sql, "trip", time.Since(start))
	}
}
