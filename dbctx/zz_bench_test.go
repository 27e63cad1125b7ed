package dbctx_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/leadmill/leadmill/dbctx"
)

func BenchmarkLite(b *testing.B) {
	db := databases.Open(b, dbctx.SQLite)
	var wg sync.WaitGroup
	per := b.N/20 + 1
	var mu sync.Mutex
	var all []time.Duration
	b.ResetTimer()
	for g := range 20 {
		wg.Go(func() {
			for i := range per {
				id := int64(g*10_000_000 + i)
				t0 := time.Now()
				err := dbctx.Run(b.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
					var n int64
					if err := tx.QueryRow(ctx, `SELECT count(*) FROM notes WHERE id = $1`, id).Scan(&n); err != nil {
						return err
					}
					tx.Queue(addNote, id, "x")
					return nil
				})
				if err != nil {
					b.Error(err)
					return
				}
				mu.Lock()
				all = append(all, time.Since(t0))
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	slices.Sort(all)
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds()), "p99us")
	b.ReportMetric(float64(all[len(all)-1].Microseconds()), "maxus")
}
