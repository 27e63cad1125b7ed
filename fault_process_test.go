package leadmill_test

import (
	"math/rand/v2"
	"syscall"
	"time"

	"github.com/leadmill/leadmill/dbctx/dbctxtest"
)

// What happens to processes.

var processFaults = []fault{
	{name: "workers killed every 2 s, PostgreSQL restarted", leads: 20000, pace: 100, crowd: 10, workers: 3, share: true, alone: true, hurt: killWorkersAndRestart},
	{name: "web killed every 2 s", leads: 4000, pace: 60, cuts: true, hurt: func(s *scene) {
		s.whileLoading(2*time.Second, func() {
			s.web.kill()
			s.web = s.start("leadmill web")
		})
	}},
	{name: "ten rolling restarts of web and worker", leads: 4000, pace: 40, workers: 2, share: true, hurt: rollingRestarts},
	{name: "50 running jobs killed at once", leads: 200, pace: 100, share: true, destinations: []string{"a", "b", "c"}, hurt: killFifty},
	{name: "a worker stopped for a minute, and waking up", leads: 4000, pace: 40, workers: 2, hurt: stallAWorker},
	{name: "both killed every 2 s, on SQLite", sqlite: true, leads: 2000, pace: 30, cuts: true, hurt: func(s *scene) {
		s.whileLoading(2*time.Second, func() {
			s.web.kill()
			s.workers[0].kill()
			s.web, s.workers[0] = s.start("leadmill web"), s.start("leadmill worker")
		})
	}},
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
	for range s.rounds(10, 3) {
		for n, p := range s.workers {
			s.replace(&s.workers[n], p)
		}
		s.replace(&s.web, s.web)
	}
}

// rounds is how often something is done: under the full load, or else in a share of it.
func (s *scene) rounds(full, share int) int {
	if *allFaults {
		return full
	}
	return share
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
	(*place).awaitReady()
}

// killFifty kills a process in the middle of fifty calls. The other one has nothing to do but to notice.
func killFifty(s *scene) {
	s.receiver.Hold()
	until(s, "fifty calls at once", func() bool { return s.receiver.Waiting() >= 50 })
	s.workers = append(s.workers, s.start("leadmill worker"))
	s.workers[1].awaitReady()
	s.workers[0].kill()
	s.workers = s.workers[1:]
	s.receiver.Release()
}

// stallAWorker freezes a process in the middle of its jobs, for longer than it may be silent.
func stallAWorker(s *scene) {
	s.acknowledged(0.1)
	s.workers[0].signal(syscall.SIGSTOP)
	<-time.After(time.Minute)
	s.workers[0].signal(syscall.SIGCONT)
}
