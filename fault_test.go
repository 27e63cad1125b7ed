package leadmill_test

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// The program, hurt: whatever is done to the machines, every acknowledged lead is processed, and nothing happens twice.

var (
	allFaults   = flag.Bool("faults", false, "try every fault under full load; without it, a share of them under a light one")
	lightFaults = flag.Bool("faults.light", false, "try every fault under a light load")
)

// fault is something that is done to the machines while leads come in.
type fault struct {
	name         string
	sqlite       bool
	leads        int                     // of the full load
	pace         int                     // leads in a second; 0 as many as go
	crowd        int                     // submissions of one person; 0 means 2
	workers      int                     // processes; 0 means one
	destinations []string                // besides crm
	share        bool                    // tried without -faults as well
	alone        bool                    // its full load leaves nothing for another row
	cuts         bool                    // clients may see their connection break
	settings     []string                // of PostgreSQL
	disk         func(*testing.T) string // where the database keeps its files; nil: anywhere
	route        func(*scene) string     // by which URL the processes reach the database; nil: its own
	hurt         func(*scene)            // returns when the fault is over
}

// lightLoad is enough to be in the middle of it.
const lightLoad = 1000

func (f fault) total() int {
	if *allFaults {
		return f.leads
	}
	return min(f.leads, lightLoad)
}

// speed stretches a light load.
func (f fault) speed() int {
	if *allFaults {
		return f.pace
	}
	return max(1, f.pace/2)
}

// outcome is a line of the table.
type outcome struct {
	name               string
	load, acknowledged int
	lost, twice        int
	uncertain          int // deliveries that a person is asked about, since repeating them is not safe
	recovered          time.Duration
}

func TestFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("faults take minutes")
	}
	var table outcomes
	t.Cleanup(func() { table.print(t) })
	for _, f := range slices.Concat(processFaults, databaseFaults, liteFaults) {
		t.Run(strings.ReplaceAll(f.name, " ", "-"), func(t *testing.T) {
			if !f.share && !*allFaults && !*lightFaults {
				t.Skip("make fault tries it")
			}
			if !f.alone || !*allFaults {
				t.Parallel()
			}
			table.add(newScene(t, f).play())
		})
	}
}

// outcomes of faults that were tried side by side.
type outcomes struct {
	mu  sync.Mutex
	all []outcome
}

func (o *outcomes) add(one outcome) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all = append(o.all, one)
}

func (o *outcomes) print(t *testing.T) {
	slices.SortFunc(o.all, func(a, b outcome) int { return strings.Compare(a.name, b.name) })
	var b strings.Builder
	fmt.Fprintf(&b, "\n%-46s %6s %6s %4s %5s %9s %8s\n", "fault", "load", "acked", "lost", "twice", "uncertain", "recovery")
	for _, one := range o.all {
		fmt.Fprintf(&b, "%-46s %6d %6d %4d %5d %9d %7.1fs\n", one.name, one.load, one.acknowledged, one.lost, one.twice, one.uncertain, one.recovered.Seconds())
	}
	t.Log(b.String())
}

// whileLoading does something again and again until three quarters of the load are acknowledged.
func (s *scene) whileLoading(every time.Duration, do func()) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for 4*len(s.load.Acknowledged()) < 3*s.load.Total && s.Context().Err() == nil {
		<-tick.C
		do()
	}
}
