package web

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/dbctx/dbctxtest"
	"github.com/leadmill/leadmill/jobs"
	"github.com/leadmill/leadmill/schema"
)

// durable loses nothing when the power fails.
var durable = dbctxtest.NewOn("intake", jobs.Migrate, dbctxtest.Safe...)

// BenchmarkIntake takes leads in over loopback HTTP from clients with a connection each: posts of one lead, one commit each,
// from 50, and batches of a thousand from 4. No worker runs. Clients, server and PostgreSQL share the machine.
func BenchmarkIntake(b *testing.B) {
	b.Run("posts", func(b *testing.B) {
		d := newDoorway(b)
		var n atomic.Int64
		d.measure(b, 50, 1, func() (path, body string) {
			return "/api/v1/leads", oneLead(n.Add(1))
		})
	})
	b.Run("batches", func(b *testing.B) {
		d := newDoorway(b)
		var n atomic.Int64
		d.measure(b, 4, mostItems, func() (path, body string) {
			leads := make([]string, mostItems)
			for i := range leads {
				leads[i] = oneLead(n.Add(1))
			}
			return "/api/v1/leads/batch", "[" + strings.Join(leads, ",") + "]"
		})
	})
}

func oneLead(n int64) string {
	return fmt.Sprintf(`{"email":"lead%d@example.com","name":"Ada Lovelace %d","phone":"+44 20 7946 0123","company":"Analytical Engines","message":"Please call."}`, n, n)
}

// doorway is a server on a database that loses nothing.
type doorway struct{ url, key string }

func newDoorway(b *testing.B) doorway {
	db, err := dbctx.Open(context.Background(), durable.URL(b, dbctx.Postgres), dbctx.Pool{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(db.Close)
	_, url := serve(b, db)
	key, hash := jobs.NewKey()
	err = dbctx.Run(b.Context(), db, func(ctx context.Context, tx *dbctx.Tx) error {
		_, err := schema.InsertSource(ctx, tx, "form", "GB", hash, time.Now())
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return doorway{url, key}
}

// measure posts b.N times over that many connections.
func (d doorway) measure(b *testing.B, connections, leads int, next func() (path, body string)) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: connections, MaxConnsPerHost: connections}}
	defer client.CloseIdleConnections()
	var left atomic.Int64
	left.Store(int64(b.N))
	b.ResetTimer()
	var wg sync.WaitGroup
	for range connections {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				path, body := next()
				if err := d.post(client, path, body); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N*leads)/b.Elapsed().Seconds(), "leads/s")
}

func (d doorway) post(client *http.Client, path, body string) error {
	r, err := http.NewRequest(http.MethodPost, d.url+path, bytes.NewReader([]byte(body)))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+d.key)
	r.Header.Set("Content-Type", "application/json")
	answer, err := client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return err
	}
	if answer.StatusCode != http.StatusAccepted {
		return fmt.Errorf("%s = %s", path, answer.Status)
	}
	return nil
}
