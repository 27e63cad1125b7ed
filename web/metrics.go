package web

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/schema"
)

// Metrics are what Prometheus reads. They hold no personal data; whoever reaches the port may read them, so keep it
// behind the proxy.
type Metrics struct {
	registry *prometheus.Registry
	done     prometheus.Histogram
	requests *prometheus.HistogramVec
}

// NewMetrics makes the metrics of a process.
func NewMetrics(db *dbctx.DB) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		done: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "leadmill_intake_to_done_seconds", Help: "From the receipt of a submission to its verdict.",
			Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800},
		}),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "leadmill_http_request_seconds", Help: "Requests by route and status.",
			Buckets: []float64{.001, .005, .01, .025, .05, .1, .25, .5, 1, 5, 30},
		}, []string{"route", "status"}),
	}
	m.registry.MustRegister(m.done, m.requests, newDatabaseCollector(db), collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// ObserveDone counts a submission that came to its verdict after that time.
func (m *Metrics) ObserveDone(took time.Duration) { m.done.Observe(took.Seconds()) }

func (m *Metrics) observeRequest(route string, status int, took time.Duration) {
	m.requests.WithLabelValues(route, strconv.Itoa(status)).Observe(took.Seconds())
}

// Handler serves the metrics in Prometheus' text format.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
}

// Limits of asking the database at a scrape.
const (
	scrapeLimit = 2 * time.Second
	scrapeEvery = 5 * time.Second // several scrapers do not count the table several times
)

// databaseCollector asks the database when it is scraped. A database that is away leaves its series out and does not
// fail the scrape.
type databaseCollector struct {
	db                                           *dbctx.DB
	jobs, oldest, connections, waits, waitsTaken *prometheus.Desc
	scopes, oldestScope, lengths                 *prometheus.Desc
	mu                                           sync.Mutex
	counted                                      time.Time
	counts                                       []schema.JobCount
	waitingSince                                 *time.Time
}

func newDatabaseCollector(db *dbctx.DB) *databaseCollector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("leadmill_"+name, help, labels, nil)
	}
	return &databaseCollector{
		db:          db,
		jobs:        desc("jobs", "Jobs by queue and state; 50000 stands for that many or more.", "queue", "state"),
		oldest:      desc("oldest_waiting_job_seconds", "How long the oldest job that may run has waited; 0 if none waits."),
		connections: desc("db_connections", "Connections of the pool.", "state"),
		waits:       desc("db_waits_total", "Scopes that waited for a connection."),
		waitsTaken:  desc("db_wait_seconds_total", "How long they waited."),
		scopes:      desc("db_scopes", "Scopes that are open now, with a connection or not yet."),
		oldestScope: desc("db_oldest_scope_seconds", "How long the oldest of them has been open; 0 if none is."),
		lengths:     desc("db_scope_seconds", "How long scopes were open that have ended."),
	}
}

// Describe names the series.
func (c *databaseCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.jobs, c.oldest, c.connections, c.waits, c.waitsTaken, c.scopes, c.oldestScope, c.lengths} {
		ch <- d
	}
}

// Collect reads the pool, and the queue if the last reading is old.
func (c *databaseCollector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	s := c.db.Stats()
	gauge(c.connections, float64(s.InUse), "in_use")
	gauge(c.connections, float64(s.Idle), "idle")
	gauge(c.connections, float64(s.Max), "max")
	ch <- prometheus.MustNewConstMetric(c.waits, prometheus.CounterValue, float64(s.Waits))
	ch <- prometheus.MustNewConstMetric(c.waitsTaken, prometheus.CounterValue, s.Wait.Seconds())
	gauge(c.scopes, float64(s.Scopes))
	gauge(c.oldestScope, s.Oldest.Seconds())
	ch <- prometheus.MustNewConstHistogram(c.lengths, uint64(s.Ended), s.Length.Seconds(), cumulative(s))

	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refresh() != nil {
		return
	}
	for _, n := range c.counts {
		gauge(c.jobs, float64(n.Count), n.Queue, n.State)
	}
	waited := 0.0
	if c.waitingSince != nil {
		waited = max(0, time.Since(*c.waitingSince).Seconds())
	}
	gauge(c.oldest, waited)
}

// cumulative counts scopes as Prometheus does: those up to each bound, the shorter ones included.
func cumulative(s dbctx.Stats) map[float64]uint64 {
	buckets := make(map[float64]uint64, len(dbctx.LengthBounds))
	var sum uint64
	for i, bound := range dbctx.LengthBounds {
		sum += uint64(s.Lengths[i])
		buckets[bound.Seconds()] = sum
	}
	return buckets
}

func (c *databaseCollector) refresh() error {
	if time.Since(c.counted) < scrapeEvery {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), scrapeLimit)
	defer cancel()
	return dbctx.Run(ctx, c.db, func(ctx context.Context, tx *dbctx.Tx) (err error) {
		if c.counts, err = schema.JobCounts(ctx, tx); err != nil {
			return err
		}
		if c.waitingSince, err = schema.OldestWaiting(ctx, tx); err == nil {
			c.counted = time.Now()
		}
		return err
	}, dbctx.ReadOnly())
}
