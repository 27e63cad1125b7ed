package jobs

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/dbctx/dbctxtest"
	"github.com/leadmill/leadmill/schema"
)

var bulkDatabases = dbctxtest.New("bulk", Migrate)

// mill works the bulk queue with one worker and notes whose chunk it was. Intakes are told apart by their ids alone.
type mill struct {
	t       *testing.T
	q       *Queue
	mu      sync.Mutex
	sources map[string]int64
	served  strings.Builder
	at      func(ctx context.Context, s *Scope, chunk int) error // of those served, from 1
}

const perSource = 1_000_000 // intakes, so that an id tells its source

func newMill(t *testing.T, db *dbctx.DB) *mill {
	t.Helper()
	m := &mill{t: t, sources: map[string]int64{}}
	m.q = newQueue(db, Options{Queues: []string{Maintenance}})
	inScope(m.q, cronTick)
	inScope(m.q, m.work)
	if err := m.q.connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.q.Close)
	m.scope(func(ctx context.Context, tx *dbctx.Tx) error {
		for _, name := range []string{"A", "B", "C", "D"} {
			s, err := schema.EnsureSource(ctx, tx, name, time.Now())
			if err != nil {
				return err
			}
			m.sources[name] = s.ID
		}
		return nil
	})
	return m
}

func (m *mill) scope(fn func(context.Context, *dbctx.Tx) error) {
	m.t.Helper()
	if err := dbctx.Run(m.t.Context(), m.q.db, fn); err != nil {
		m.t.Fatal(err)
	}
}

// rows are enough for so many chunks of a source.
func (m *mill) rows(source string, chunks int) []int64 {
	ids := make([]int64, chunks*chunkRows)
	for i := range ids {
		ids[i] = m.sources[source]*perSource + int64(i)
	}
	return ids
}

func (m *mill) enqueue(source string, chunks int) {
	m.t.Helper()
	m.scope(func(ctx context.Context, tx *dbctx.Tx) error {
		return m.q.EnqueueRows(ctx, tx, m.sources[source], m.rows(source, chunks))
	})
}

func (m *mill) work(ctx context.Context, s *Scope, a ProcessLeads) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, id := range m.sources {
		if a.IntakeIDs[0]/perSource == id {
			m.served.WriteString(name)
		}
	}
	if m.at == nil {
		return nil
	}
	return m.at(ctx, s, m.served.Len())
}

// start works until the test ends, and returns what was served once that is so many chunks.
func (m *mill) start(chunks int) string {
	m.t.Helper()
	if err := m.q.Start(context.Background()); err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() {
		if err := m.q.Stop(context.Background()); err != nil {
			m.t.Error(err)
		}
	})
	if err := m.q.engine.lane(m.t.Context(), Bulk, true); err != nil {
		m.t.Fatal(err)
	}
	var served string
	await(m.t, func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		served = m.served.String()
		return len(served) >= chunks
	})
	return served
}

func TestSourcesTakeTurnsHoweverMuchOneOfThemHasWaiting(t *testing.T) {
	bulkDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		m := newMill(t, db)
		m.enqueue("A", 10)
		m.enqueue("B", 3)
		m.enqueue("C", 1)
		m.at = func(ctx context.Context, s *Scope, chunk int) error {
			if chunk != 6 {
				return nil
			}
			return s.EnqueueRows(ctx, m.sources["D"], m.rows("D", 2)) // it comes when the others are long at work
		}
		if got, want := m.start(16), "ABCABA"+"BD"+"AD"+"AAAAAA"; got != want {
			t.Errorf("chunks were worked in the order %s, want %s", got, want)
		}
	})
}

func TestASourceGoesOnBehindItsOwnChunks(t *testing.T) {
	bulkDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		m := newMill(t, db)
		for range 3 { // as a file is read: a chunk at a time
			m.enqueue("A", 1)
		}
		m.enqueue("B", 2)
		m.enqueue("A", 1)
		if got, want := m.start(6), "ABABAA"; got != want {
			t.Errorf("chunks were worked in the order %s, want %s", got, want)
		}
	})
}

func TestRowsAreCutIntoChunks(t *testing.T) {
	bulkDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		m := newMill(t, db)
		m.scope(func(ctx context.Context, tx *dbctx.Tx) error {
			if err := m.q.EnqueueRows(ctx, tx, m.sources["A"], nil); err != nil {
				return err
			}
			return m.q.EnqueueRows(ctx, tx, m.sources["A"], m.rows("A", 3)[:2*chunkRows+1])
		})
		m.scope(func(ctx context.Context, tx *dbctx.Tx) error {
			counts, err := schema.JobCounts(ctx, tx)
			if got, want := fmt.Sprint(counts), "[{bulk available 3}]"; got != want {
				t.Errorf("jobs of %d rows: %s, want %s", 2*chunkRows+1, got, want)
			}
			return err
		})
	})
}

func TestATurnLiesInThePastAndBehindTheLast(t *testing.T) {
	now := time.Date(2026, 3, 2, 9, 30, 0, 0, time.UTC)
	ago := func(d time.Duration) *time.Time { at := now.Add(-d); return &at }
	for _, c := range []struct {
		name string
		line schema.Line
		want time.Duration // before now
	}{
		{"nobody waits, the first turn of all", schema.Line{}, headStart},
		{"nobody waits, the source has rested", schema.Line{Last: ago(time.Hour)}, headStart},
		{"nobody waits, the source was just here", schema.Line{Last: ago(headStart)}, headStart - time.Microsecond},
		{"others wait", schema.Line{Head: ago(time.Hour)}, time.Hour},
		{"others wait, the source too", schema.Line{Head: ago(time.Hour), Last: ago(time.Minute)}, time.Minute - time.Microsecond},
		{"only one that is tried again waits", schema.Line{Head: ago(time.Second)}, headStart},
		{"the database's clock was put back", schema.Line{Last: ago(-time.Hour)}, headStart},
	} {
		c.line.Now = now
		if turn, _ := firstTurn(c.line, dbctx.Postgres); now.Sub(turn) != c.want {
			t.Errorf("%s: the turn is %s before now, want %s", c.name, now.Sub(turn), c.want)
		}
	}
}
