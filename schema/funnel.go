package schema

import (
	"context"
	"math"
	"time"

	"github.com/leadmill/leadmill/dbctx"
)

// FunnelCounts is how far submissions came.
type FunnelCounts struct {
	Counts
	Scored    int64 `json:"scored"`
	Owned     int64 `json:"owned"`
	Planned   int64 `json:"planned"` // deliveries, in whatever state
	Delivered int64 `json:"delivered"`
	Retrying  int64 `json:"retrying"`
	Parked    int64 `json:"parked"`
	Uncertain int64 `json:"uncertain"`
}

// Funnel counts what was received since then. A lead's id is its founding intake's, so the first of those bounds the
// leads as well; the first by id, since intakes that arrive at once may be stored in another order.
//
// Of intakes and leads only indexes are read, for their rows are long. A lead has an owner or is unowned once it is saved.
func Funnel(ctx context.Context, tx *dbctx.Tx, since time.Time) (f FunnelCounts, err error) {
	statuses, err := dbctx.All(ctx, tx, scanStatus, `SELECT status, count(*), min(id) FROM intakes WHERE received_at >= $1 GROUP BY status`, since)
	if err != nil {
		return f, err
	}
	first := int64(math.MaxInt64)
	for _, s := range statuses {
		f.add(s.name, s.n)
		first = min(first, s.first)
	}
	var unowned int64
	err = tx.QueryRow(ctx, `SELECT count(*), (SELECT count(*) FROM leads WHERE id >= $1 AND state = 'unowned') FROM leads WHERE id >= $1`,
		first).Scan(&f.Scored, &unowned)
	if err != nil {
		return f, err
	}
	f.Owned = f.Scored - unowned
	deliveries, err := groups(ctx, tx, `SELECT state, count(*) FROM deliveries WHERE created_at >= $1 GROUP BY state`, since)
	for _, n := range deliveries {
		f.Planned += n
	}
	f.Delivered, f.Retrying, f.Parked = deliveries[DeliveryDone], deliveries[DeliveryRetrying], deliveries[DeliveryGivenUp]
	f.Uncertain = deliveries[DeliveryUncertain]
	return f, err
}

// statusCount is how many intakes have a status, and the first of them.
type statusCount struct {
	name     string
	n, first int64
}

func scanStatus(row dbctx.Scanner) (s statusCount, err error) {
	return s, row.Scan(&s.name, &s.n, &s.first)
}

func groups(ctx context.Context, tx *dbctx.Tx, sql string, since time.Time) (map[string]int64, error) {
	type group struct {
		name string
		n    int64
	}
	rows, err := dbctx.All(ctx, tx, func(row dbctx.Scanner) (g group, err error) {
		return g, row.Scan(&g.name, &g.n)
	}, sql, since)
	counts := map[string]int64{}
	for _, g := range rows {
		counts[g.name] = g.n
	}
	return counts, err
}
