package dbctx_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/leadmill/leadmill/dbctx"
)

// eachTraced opens databases whose scopes make spans.
func eachTraced(t *testing.T, fn func(t *testing.T, db *dbctx.DB, tracer trace.Tracer, spans *tracetest.SpanRecorder)) {
	t.Helper()
	for _, d := range []dbctx.Dialect{dbctx.SQLite, dbctx.Postgres} {
		t.Run(string(d), func(t *testing.T) {
			t.Parallel()
			spans := tracetest.NewSpanRecorder()
			provider := sdk.NewTracerProvider(sdk.WithSpanProcessor(spans))
			t.Cleanup(func() { _ = provider.Shutdown(context.Background()) })
			db, err := dbctx.Open(t.Context(), databases.URL(t, d), dbctx.Pool{Size: 1, Tracer: provider})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(db.Close)
			fn(t, db, provider.Tracer("test"), spans)
		})
	}
}

// told is what a span says, but for its place.
type told struct {
	Name, System, Outcome string
	Trips                 int64
	Status                codes.Code
	Kind                  trace.SpanKind
}

func readSpan(span sdk.ReadOnlySpan) (said told, place string) {
	said = told{Name: span.Name(), Status: span.Status().Code, Kind: span.SpanKind()}
	for _, a := range span.Attributes() {
		switch a.Key {
		case "db.system.name":
			said.System = a.Value.AsString()
		case "dbctx.outcome":
			said.Outcome = a.Value.AsString()
		case "dbctx.trips":
			said.Trips = a.Value.AsInt64()
		case "code.location":
			place = a.Value.AsString()
		}
	}
	return said, place
}

func TestEachScopeIsASpanThatTellsHowItEnded(t *testing.T) {
	eachTraced(t, func(t *testing.T, db *dbctx.DB, _ trace.Tracer, spans *tracetest.SpanRecorder) {
		system := map[dbctx.Dialect]string{dbctx.SQLite: "sqlite", dbctx.Postgres: "postgresql"}[db.Dialect()]
		takeKey(t, db, "taken")
		for _, try := range []struct {
			name, outcome string
			trips         int64
			status        codes.Code
			fn            func(ctx context.Context, tx *dbctx.Tx) error
			opts          []dbctx.Option
		}{
			{"nothing", "committed", 0, codes.Unset, nothing, nil},
			{"a queued write", "committed", 1, codes.Unset, func(_ context.Context, tx *dbctx.Tx) error { tx.Queue(addNote, 1, "a"); return nil }, nil},
			{"a write", "committed", 2, codes.Unset, add(2), nil},
			{"a Keep", "committed", 2, codes.Unset, func(ctx context.Context, tx *dbctx.Tx) error {
				return errors.Join(add(3)(ctx, tx), dbctx.Keep(errOops))
			}, nil},
			{"an error", "rolled back", 1, codes.Error, func(ctx context.Context, tx *dbctx.Tx) error {
				return errors.Join(add(4)(ctx, tx), errOops)
			}, nil},
			{"a violation at the end", "rolled back", 1, codes.Error, func(_ context.Context, tx *dbctx.Tx) error { tx.Queue(addNote, 1, "a"); return nil }, nil},
			{"a key that is taken", "done already", 1, codes.Unset, add(5), []dbctx.Option{dbctx.Once("taken")}},
			{"a panic", "did not return", 1, codes.Error, func(ctx context.Context, tx *dbctx.Tx) error { _ = add(6)(ctx, tx); panic(errOops) }, nil},
			{"a panic of the last write", "did not return", 1, codes.Error, func(_ context.Context, tx *dbctx.Tx) error {
				tx.Queue(addNote, 7, explosive{})
				return nil
			}, nil},
		} {
			before := len(spans.Ended())
			func() {
				defer func() { _ = recover() }()
				_ = dbctx.Run(t.Context(), db, try.fn, try.opts...)
			}()
			ended := spans.Ended()[before:]
			if len(ended) != 1 {
				t.Errorf("%s: %d spans, want 1", try.name, len(ended))
				continue
			}
			got, place := readSpan(ended[0])
			want := told{"dbctx.Run", system, try.outcome, try.trips, try.status, trace.SpanKindClient}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", try.name, diff)
			}
			if !regexp.MustCompile(`^dbctx/span_test\.go:\d+$`).MatchString(place) {
				t.Errorf("%s: its place is %q, want this file", try.name, place)
			}
		}
	})
}

func TestSpansHangTogether(t *testing.T) {
	eachTraced(t, func(t *testing.T, db *dbctx.DB, tracer trace.Tracer, spans *tracetest.SpanRecorder) {
		request, job := tracer.Start(t.Context(), "job")
		err := dbctx.Run(request, db, func(ctx context.Context, tx *dbctx.Tx) error {
			_, work := tracer.Start(ctx, "work")
			defer work.End()
			return dbctx.Run(ctx, db, add(1)) // nested: no span of its own
		})
		job.End()
		if err != nil {
			t.Fatal(err)
		}
		parents, names := map[string]string{}, map[trace.SpanID]string{}
		for _, s := range spans.Ended() {
			names[s.SpanContext().SpanID()] = s.Name()
		}
		for _, s := range spans.Ended() {
			parents[s.Name()] = names[s.Parent().SpanID()]
		}
		if diff := cmp.Diff(map[string]string{"job": "", "dbctx.Run": "job", "work": "dbctx.Run"}, parents); diff != "" || len(names) != 3 {
			t.Errorf("%d spans, each with its parent (-want +got):\n%s", len(names), diff)
		}
	})
}

func TestEachAttemptIsASpan(t *testing.T) {
	eachTraced(t, func(t *testing.T, db *dbctx.DB, _ trace.Tracer, spans *tracetest.SpanRecorder) {
		become, spare := chosen(t, db)
		attempts := 0
		err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
			if attempts++; attempts == 2 {
				spare()
			}
			return become(ctx, tx)
		}, tired(db), dbctx.Retry(1))
		var outcomes []string
		for _, s := range spans.Ended() {
			said, _ := readSpan(s)
			outcomes = append(outcomes, said.Outcome)
		}
		if diff := cmp.Diff([]string{"rolled back", "committed"}, outcomes); diff != "" || err != nil {
			t.Errorf("Run = %v, outcomes (-want +got):\n%s", err, diff)
		}
	})
}

func TestASpanHoldsNeitherStatementsNorArguments(t *testing.T) {
	eachTraced(t, func(t *testing.T, db *dbctx.DB, _ trace.Tracer, spans *tracetest.SpanRecorder) {
		for range 2 { // the second is a violation, whose text PostgreSQL decorates with the value
			_ = dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
				if _, err := tx.Exec(ctx, addNote, 1, "ada@example.com"); err != nil {
					return fmt.Errorf("ada@example.com: %w", err)
				}
				return nil
			}, dbctx.Once(fmt.Sprint("job/ada", len(spans.Ended()))))
		}
		for _, s := range spans.Ended() {
			text := fmt.Sprintf("%v %v %v %v", s.Name(), s.Attributes(), s.Events(), s.Status())
			for _, secret := range []string{"INSERT", "notes", "ada", "violat", "UNIQUE"} {
				if strings.Contains(text, secret) {
					t.Errorf("the span %s tells %q", text, secret)
				}
			}
		}
	})
}

func TestWithoutAProviderThereIsNoSpan(t *testing.T) {
	databases.Each(t, func(t *testing.T, db *dbctx.DB) {
		err := dbctx.Run(t.Context(), db, func(ctx context.Context, _ *dbctx.Tx) error {
			if span := trace.SpanFromContext(ctx); span.SpanContext().IsValid() || span.IsRecording() {
				t.Errorf("the scope has the span %v, want none", span.SpanContext())
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}
