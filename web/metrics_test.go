package web

import (
	"context"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/leadmill/leadmill/dbctx"
)

// scrape reads the metrics as Prometheus does.
func scrape(t *testing.T, m *Metrics) string {
	t.Helper()
	rec := httptest.NewRecorder()
	m.Handler().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if rec.Code != http.StatusOK {
		t.Fatalf("metrics = %d %s, want 200", rec.Code, rec.Body)
	}
	return rec.Body.String()
}

// value is that of a series, NaN would not be found.
func value(t *testing.T, metrics, series string) float64 {
	t.Helper()
	found := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(series) + ` (\S+)$`).FindStringSubmatch(metrics)
	if found == nil {
		t.Fatalf("metrics lack %s", series)
	}
	v, err := strconv.ParseFloat(found[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestMetricsTellTheScopes(t *testing.T) {
	apiDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		m := NewMetrics(db)
		before := scrape(t, m)
		if open := value(t, before, "leadmill_db_scopes"); open != 0 {
			t.Errorf("%v scopes are open, want none", open)
		}
		const atLeast = 30 * time.Millisecond // more than the bound of 25 ms
		err := dbctx.Run(t.Context(), db, func(context.Context, *dbctx.Tx) error {
			<-time.After(atLeast)
			during := scrape(t, m)
			if open, oldest := value(t, during, "leadmill_db_scopes"), value(t, during, "leadmill_db_oldest_scope_seconds"); open != 1 || oldest < atLeast.Seconds() {
				t.Errorf("%v scopes are open, the oldest for %v s; want this one for %v", open, oldest, atLeast)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		after := scrape(t, m)
		grown := func(series string) float64 { return value(t, after, series) - value(t, before, series) }
		if open, oldest := value(t, after, "leadmill_db_scopes"), value(t, after, "leadmill_db_oldest_scope_seconds"); open != 0 || oldest != 0 {
			t.Errorf("%v scopes are open, the oldest for %v s; want none", open, oldest)
		}
		if sum := grown("leadmill_db_scope_seconds_sum"); sum < atLeast.Seconds() {
			t.Errorf("they were open for %v s, want %v at least", sum, atLeast)
		}
		count := grown("leadmill_db_scope_seconds_count")
		if count < 1 || grown(`leadmill_db_scope_seconds_bucket{le="+Inf"}`) != count {
			t.Errorf("%v scopes have ended, want the one at least, and all of them up to +Inf", count)
		}
		if short := grown(`leadmill_db_scope_seconds_bucket{le="0.025"}`); short > count-1 {
			t.Errorf("%v of %v were open for 25 ms at most, want one less at least", short, count)
		}
	})
}

// Classes are counted each for itself, and told as sums.
func TestTheLengthsOfScopesAreToldAsPrometheusCounts(t *testing.T) {
	var s dbctx.Stats
	for i := range s.Lengths {
		s.Lengths[i] = int64(i + 1)
	}
	got := cumulative(s)
	var want uint64
	for i, bound := range dbctx.LengthBounds {
		want += uint64(i + 1)
		if got[bound.Seconds()] != want {
			t.Errorf("up to %s: %d, want %d", bound, got[bound.Seconds()], want)
		}
	}
	if len(got) != len(dbctx.LengthBounds) {
		t.Errorf("%d buckets, want %d: what is longer is in the count alone", len(got), len(dbctx.LengthBounds))
	}
}

func TestMetricsOfScopesHoldNeitherPeopleNorPlaces(t *testing.T) {
	apiDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		m := NewMetrics(db)
		err := dbctx.Run(t.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
			if err := tx.QueryRow(ctx, `SELECT 1 WHERE 'ada@example.com' <> $1`, "grace").Scan(new(int)); err != nil {
				return err
			}
			for _, secret := range []string{"ada@", "grace", "SELECT", "_test.go"} {
				if strings.Contains(scrape(t, m), secret) {
					t.Errorf("the metrics hold %q", secret)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}
