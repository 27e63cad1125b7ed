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
	took := time.Since(start)
	for _, s := range batch {
		e.log.InfoContext(ctx, "sql", "statement", s.sql, "trip", took)
	}
}
