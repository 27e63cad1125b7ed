package leadmill_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/leadmill/leadmill/dbctx/dbctxtest"
)

// The program, hurt: whatever is done to the machines, every acknowledged lead is processed, and nothing happens twice.

var allFaults = flag.Bool("faults", false, "try every fault under full load; without it, a share of them under a light one")

// fault is something that is done to the machines while leads come in.
type fault struct {
	name     string
	sqlite   bool
	leads    int                     // of the full load
	pace     int                     // leads in a second; 0 as many as go
	workers  int                     // processes; 0 means one
	share    bool                    // tried without -faults as well
	cuts     bool                    // clients may see their connection break
	settings []string                // of PostgreSQL
	disk     func(*testing.T) string // where PostgreSQL keeps its files; nil: anywhere
	hurt     func(*scene)            // returns when the fault is over
}

// lightLoad is enough to be in the middle of it.
const lightLoad = 1500

func (f fault) total() int {
	if *allFaults {
		return f.leads
	}
	return min(f.leads, lightLoad)
}

// outcome is a line of the table.
type outcome struct {
	name               string
	load, acknowledged int
	lost, twice        int
	recovered          time.Duration
}

func TestFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("faults take minutes")
	}
	var table outcomes
	t.Cleanup(func() { table.print(t) })
	for _, f := range faults {
		t.Run(strings.ReplaceAll(f.name, " ", "-"), func(t *testing.T) {
			if !f.share && !*allFaults {
				t.Skip("make fault tries it")
			}
			t.Parallel()
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
	fmt.Fprintf(&b, "\n%-44s %6s %6s %4s %5s %8s\n", "fault", "load", "acked", "lost", "twice", "recovery")
	for _, one := range o.all {
		fmt.Fprintf(&b, "%-44s %6d %6d %4d %5d %7.1fs\n", one.name, one.load, one.acknowledged, one.lost, one.twice, one.recovered.Seconds())
	}
	t.Log(b.String())
}

var faults = []fault{
	{name: "workers killed every 2 s, PostgreSQL restarted", leads: 20000, pace: 500, workers: 3, share: true, hurt: killWorkersAndRestart},
	{name: "web killed every 2 s", leads: 8000, pace: 300, cuts: true, hurt: func(s *scene) {
		s.whileLoading(2*time.Second, func() { s.web.kill(); s.web = s.start("leadmill web") })
	}},
	{name: "ten rolling restarts of web and worker", leads: 10000, pace: 250, workers: 2, share: true, hurt: rollingRestarts},
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

func (s *scene) killAWorker() {
	n := rand.IntN(len(s.workers))
	s.workers[n].kill()
	s.workers[n] = s.start("leadmill worker")
}

func killWorkersAndRestart(s *scene) {
	restarts := []syscall.Signal{dbctxtest.Fast, dbctxtest.Immediate}
	s.whileLoading(2*time.Second, func() {
		s.killAWorker()
		if len(restarts) > 0 && len(s.load.Acknowledged())*3 > s.load.Total*(3-len(restarts)) {
			s.server.Stop(restarts[0])
			s.server.Start()
			restarts = restarts[1:]
		}
	})
}

func rollingRestarts(s *scene) {
	for range 10 {
		for n, p := range s.workers {
			s.replace(&s.workers[n], p)
		}
		s.replace(&s.web, s.web)
	}
}

// replace stops a process as a deployment does, and starts the next.
func (s *scene) replace(place **process, p *process) {
	begun := time.Now()
	if code := p.stop(); code != 0 {
		s.Errorf("%s ended with %d after SIGTERM, want 0", p.line, code)
	}
	if took := time.Since(begun); took > 30*time.Second {
		s.Errorf("%s took %s to end, want less than 30 s", p.line, took)
	}
	*place = s.start(p.line)
}

// tinyDisk is a file system of its own, of a few megabytes; the test is skipped where none can be mounted.
func tinyDisk(size string) func(*testing.T) string {
	return func(t *testing.T) string {
		folder := filepath.Join("/tmp", fmt.Sprintf("leadmill-disk-%d-%d", os.Getpid(), rand.Uint32()))
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, "size="+size+",mode=0755"); err != nil {
			os.Remove(folder)
			t.Skip("no file system can be mounted here, a full disk is not tried: ", err)
		}
		t.Cleanup(func() {
			_ = syscall.Unmount(folder, syscall.MNT_DETACH)
			os.Remove(folder)
		})
		return folder
	}
}
