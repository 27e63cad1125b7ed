package dbctx

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// spans make one span for each outermost scope, named dbctx.Run, with the kind of the database, the place in the code,
// the number of round trips and how it ended. No statement and no argument. The zero value makes none.
type spans struct {
	tracer trace.Tracer
	system attribute.KeyValue
}

func newSpans(provider trace.TracerProvider, dialect Dialect) spans {
	if provider == nil {
		return spans{}
	}
	system := string(dialect)
	if dialect == Postgres {
		system = "postgresql" // as OpenTelemetry's conventions spell it
	}
	return spans{
		tracer: provider.Tracer("github.com/leadmill/leadmill/dbctx"),
		system: attribute.String("db.system.name", system),
	}
}

func (p spans) begin(ctx context.Context, s *session) context.Context {
	if p.tracer == nil {
		return ctx
	}
	ctx, s.span = p.tracer.Start(ctx, "dbctx.Run", trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(p.system))
	return ctx
}

// end tells how it ended by a word; the text of an error may hold what nobody should read.
func (p spans) end(s *session, err error, finished bool) {
	if s.span == nil {
		return
	}
	outcome := "committed"
	switch {
	case !finished:
		outcome = "did not return"
	case errors.Is(err, ErrAlreadyDone):
		outcome = "done already"
	case errors.Is(err, ErrCommitUnknown):
		outcome = "unknown"
	case err != nil && !s.stands:
		outcome = "rolled back"
	}
	if outcome != "committed" && outcome != "done already" {
		s.span.SetStatus(codes.Error, outcome)
	}
	s.span.SetAttributes(attribute.String("dbctx.outcome", outcome), attribute.Int("dbctx.trips", s.trips),
		attribute.String("code.location", s.at()))
	s.span.End()
}
