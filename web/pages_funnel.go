package web

import (
	"context"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/lead"
	"github.com/leadmill/leadmill/schema"
)

// funnelPage is how far today's submissions came, and what the workers have before them.
type funnelPage struct {
	Since  time.Time
	Groups []stageGroup
	Queues []queueRow
	Oldest *time.Time
	Waits  time.Duration // how long the oldest job has waited
}

// stageGroup is stages that count the same thing.
type stageGroup struct {
	Name   string
	Stages []stage
}

// stage is a count with a bar, as a percentage of all, and a link to what it counts.
type stage struct {
	Name, Link, Class string
	Count             int64
	Percent           int64
	Part              bool // of the first stage of its group
}

func (s *Server) funnel(w http.ResponseWriter, r *http.Request) {
	now, start := s.now().UTC(), time.Now()
	p := funnelPage{Since: now.Truncate(24 * time.Hour)}
	v := s.read(r, anyone, func(ctx context.Context, tx *dbctx.Tx) error {
		counts, err := schema.Funnel(ctx, tx, p.Since)
		if err != nil {
			return err
		}
		p.Groups = stages(counts)
		jobs, err := schema.JobCounts(ctx, tx)
		if err != nil {
			return err
		}
		p.Queues = queueRows(jobs)
		p.Oldest, err = schema.OldestWaiting(ctx, tx)
		return err
	})
	if p.Oldest != nil {
		p.Waits = now.Sub(*p.Oldest)
	}
	s.show(w, v, "funnel", view{Title: "Today", Tab: "/", Every: pace(time.Since(start)), Page: p})
}

// pace is how often a page asks anew what took that long to find out: so that it costs no more than a twentieth of the time.
func pace(took time.Duration) string {
	return strconv.Itoa(int(max(2, math.Ceil(20*took.Seconds())))) + "s"
}

// deliveries are counted against their own whole: one lead goes to several destinations.
const deliveries = "Deliveries"

func stages(c schema.FunnelCounts) []stageGroup {
	groups := []stageGroup{
		{"Submissions", []stage{
			{Name: "Received", Count: c.Rows, Link: "/intakes"},
			verdict(lead.Accepted, c.Accepted, "good"),
			verdict(lead.Duplicate, c.Duplicate, ""),
			verdict(lead.Rejected, c.Rejected, "bad"),
			verdict(lead.Quarantined, c.Quarantined, "warn"),
			verdict(lead.Pending, c.Pending, "dim"),
		}},
		{"Leads", []stage{
			{Name: "Scored", Count: c.Scored, Link: "/leads"},
			{Name: "Owned", Count: c.Owned, Link: "/leads", Class: "good"},
		}},
		{deliveries, []stage{
			{Name: "Planned", Count: c.Planned, Link: "/leads"},
			{Name: "Delivered", Count: c.Delivered, Link: "/leads", Class: "good", Part: true},
			{Name: "Retrying", Count: c.Retrying, Link: "/failed", Class: "warn", Part: true},
			{Name: "Parked", Count: c.Parked, Link: "/failed", Class: "bad", Part: true},
			{Name: "Uncertain", Count: c.Uncertain, Link: "/failed", Class: "bad", Part: true},
		}},
	}
	for _, g := range groups {
		whole := max(c.Rows, 1)
		if g.Name == deliveries {
			whole = max(c.Planned, 1)
		}
		for i := range g.Stages {
			g.Stages[i].Percent = percent(g.Stages[i].Count, whole)
		}
	}
	return groups
}

func verdict(v lead.Verdict, n int64, class string) stage {
	return stage{Name: label(string(v)), Count: n, Link: "/intakes?status=" + string(v), Class: class, Part: true}
}

// percent shows a little of what is not nothing, and no more than all.
func percent(n, whole int64) int64 {
	if n == 0 {
		return 0
	}
	return min(100, max(1, n*100/whole))
}

// queueRow counts the jobs of a queue that are not finished.
type queueRow struct {
	Name                                 string
	Waiting, Running, Later, Again, Over int64
}

func queueRows(counts []schema.JobCount) []queueRow {
	var rows []queueRow
	for _, c := range counts {
		if len(rows) == 0 || rows[len(rows)-1].Name != c.Queue {
			rows = append(rows, queueRow{Name: c.Queue})
		}
		rows[len(rows)-1].add(c)
	}
	return rows
}

func (q *queueRow) add(c schema.JobCount) {
	switch c.State {
	case "available", "pending":
		q.Waiting += c.Count
	case "running":
		q.Running += c.Count
	case "scheduled":
		q.Later += c.Count
	case "retryable":
		q.Again += c.Count
	case "discarded", "cancelled":
		q.Over += c.Count
	}
}
