package leadmill_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/leadmill/leadmill/dbctx"
)

// BenchmarkFromPostToDelivered posts one lead after the other on an idle house and waits for each delivery. It
// prints the median and the slowest hundredth, in milliseconds.
func BenchmarkFromPostToDelivered(b *testing.B) {
	for _, d := range []dbctx.Dialect{dbctx.SQLite, dbctx.Postgres} {
		b.Run(string(d), func(b *testing.B) {
			db, err := dbctx.Open(context.Background(), databases.URL(b, d), dbctx.Pool{})
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(db.Close)
			h := newHouse(b, db)
			h.deliver()
			var took []time.Duration
			for n := 0; b.Loop(); n++ {
				start := time.Now()
				h.post(h.keys[0], fmt.Sprintf(`{"email":"bench%d@example.com","name":"Bench"}`, n))
				<-h.receiver.called
				took = append(took, time.Since(start))
			}
			report(b, took)
		})
	}
}

func report(b *testing.B, took []time.Duration) {
	slices.Sort(took)
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	b.ReportMetric(ms(took[len(took)/2]), "ms-median")
	b.ReportMetric(ms(took[len(took)*99/100]), "ms-p99")
}
