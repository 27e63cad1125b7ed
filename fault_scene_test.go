package leadmill_test

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/leadmill/leadmill/dbctx/dbctxtest"
	"github.com/leadmill/leadmill/faulttest"
)

// scene is the program as processes on a database of its own, with leads coming in all the while.
type scene struct {
	*testing.T
	fault    fault
	server   *dbctxtest.Server // nil on SQLite
	standby  *dbctxtest.Server // that follows it; nil: none does
	wires    *faulttest.Wires  // to the server; nil: there are no others
	disk     string            // folder of a small one; "": it is not small
	bouncer  *process          // nil: none
	url      string            // of the database, as the reckoning opens it
	fleet    *fleet
	web      *process
	workers  []*process
	load     *faulttest.Load
	receiver *faulttest.Receiver
	db       *sql.DB
}

// recoveryLimit is how long the fleet may take, behind a fault, to have dealt with everything that came in before. It is held
// where nothing else is tried at the same time.
const recoveryLimit = 30 * time.Second

// patience is how long a scene waits before it says that something does not come about. Only a hang takes that long.
var patience = flag.Duration("faults.patience", 6*time.Minute, "how long to wait for what does not come about")

func newScene(t *testing.T, f fault) *scene {
	s := &scene{T: t, fault: f, receiver: faulttest.NewReceiver(t, secret)}
	s.receiver.Moody = f.crowd == 0 // who has many deliveries in a row would wait for too many of its moods
	s.fleet = &fleet{tb: t, folder: t.TempDir(), address: freeAddress(t)}
	if f.disk != nil {
		s.disk = f.disk(t)
	}
	s.open("sqlite:///" + filepath.Join(cmp.Or(s.disk, s.fleet.folder), "leads.db"))
	if !f.sqlite {
		s.startServer()
		s.server.Exec("postgres", "CREATE DATABASE leads")
		s.open(s.server.URL("leads"))
	}
	route := s.url
	if f.route != nil {
		route = f.route(s)
	}
	s.environ(route)
	s.furnish()
	return s
}

// open is where the reckoning looks.
func (s *scene) open(url string) {
	if s.db != nil {
		s.db.Close()
	}
	db, err := faulttest.Open(url)
	if err != nil {
		s.Fatal(err)
	}
	s.url, s.db = url, db
	s.Cleanup(func() { db.Close() })
}

// startServer runs PostgreSQL with what a fault needs. What the kernel was given survives its processes, so nothing waits
// for a disk.
func (s *scene) startServer() {
	settings := append([]string{"fsync=off", "shared_buffers=32MB", "max_wal_size=64MB", "max_connections=100"}, s.fault.settings...)
	if s.disk != "" {
		s.server = dbctxtest.StartServerIn(s, s.disk, settings...)
		return
	}
	s.server = dbctxtest.StartServer(s, settings...)
}

// environ is what the processes are given; they reach the database at url.
func (s *scene) environ(url string) {
	s.fleet.environ = append(os.Environ(), "PATH="+filepath.Dir(program(s))+":"+os.Getenv("PATH"), "DATABASE_URL="+url, "ADDR="+s.fleet.address,
		"DB_POOL_SIZE=2", "DB_MAX_OVERFLOW=14", "DB_CONNECT_ATTEMPTS=60", "DB_CONNECT_DELAY=500ms", "LOG_LEVEL=info", "LOG_FORMAT=json")
}

// furnish makes what leads need: tables, sources, an owner and destinations.
func (s *scene) furnish() {
	s.fleet.run("leadmill migrate up")
	s.fleet.run("leadmill user add ada@example.com --role admin --password-stdin", "correct horse battery\n")
	for _, name := range append(s.fault.destinations, "crm", "once --not-idempotent") {
		path, _, _ := strings.Cut(name, " ")
		s.fleet.run("leadmill destination add " + name + " --url " + s.receiver.URL + "/" + path + " --allow-private --secret " + secret)
	}
	if err := faulttest.MakeDue(s.Context(), s.db); err != nil {
		s.Fatal(err)
	}
	var keys []string
	for _, name := range []string{"form", "shop"} {
		var source struct{ Key string }
		if err := json.Unmarshal([]byte(s.fleet.run("leadmill source add "+name+" --country GB --json")), &source); err != nil {
			s.Fatal(err)
		}
		keys = append(keys, source.Key)
	}
	s.load = &faulttest.Load{
		URL: "http://" + s.fleet.address, Keys: keys, Total: s.fault.total(), People: s.fault.total() / cmp.Or(s.fault.crowd, 2), Clients: 16, Pace: s.fault.speed(),
		Seed: uint64(os.Getpid()), Cuts: s.fault.cuts,
	}
}

// play runs the processes, has leads come in, hurts, and reckons.
func (s *scene) play() outcome {
	s.web = s.start("leadmill web")
	for range max(1, s.fault.workers) {
		s.workers = append(s.workers, s.start("leadmill worker"))
	}
	for _, p := range append(s.workers, s.web) {
		p.awaitReady()
	}
	ctx, cancel := context.WithTimeout(s.Context(), *patience)
	defer cancel()
	var loading sync.WaitGroup
	loading.Go(func() { s.load.Run(ctx) })
	s.fault.hurt(s)
	recovered := s.recovery(ctx)
	loading.Wait()
	s.settle(ctx)
	s.stopAll()
	s.db.Close() // the reckoning looks for connections that are left
	return s.reckon(recovered)
}

// recovery measures how long everything takes, from now, that was acknowledged by now.
func (s *scene) recovery(ctx context.Context) time.Duration {
	over := time.Now()
	last, err := faulttest.LastIntake(ctx, s.db)
	if err == nil {
		err = faulttest.Settled(ctx, s.db, last)
	}
	if err != nil {
		s.Errorf("what came in before the fault was over is still not dealt with after %s", time.Since(over).Round(time.Second))
	}
	return time.Since(over)
}

func (s *scene) settle(ctx context.Context) {
	if ctx.Err() != nil {
		s.Error("not everything was acknowledged and dealt with in time")
		return
	}
	if faulttest.Ticked(ctx, s.db) != nil {
		s.Error("the tick of cron that is due does not come")
	}
	if faulttest.Finished(ctx, s.db) != nil {
		s.Error("jobs are left, and nobody works them")
	}
}

func (s *scene) stopAll() {
	for _, p := range append(s.workers, s.web) {
		if code := p.stop(); code != 0 {
			s.Errorf("%s ended with %d after SIGTERM, want 0", p.line, code)
		}
	}
	if s.bouncer != nil {
		s.bouncer.kill()
	}
}

func (s *scene) reckon(recovered time.Duration) outcome {
	books := faulttest.Books{URL: s.url, Load: s.load, Receiver: s.receiver, Once: []string{"/once"}}
	r, err := faulttest.Reckon(s.Context(), books)
	if err != nil {
		s.Fatal(err)
	}
	for n, problem := range r.Problems {
		if s.Error(problem); n == 20 {
			s.Errorf("and %d more", len(r.Problems)-n-1)
			break
		}
	}
	if r.Acknowledged != s.load.Total {
		s.Errorf("%d of %d submissions were acknowledged", r.Acknowledged, s.load.Total)
	}
	if recovered > recoveryLimit && *allFaults {
		s.Errorf("recovery took %s, want at most %s", recovered, recoveryLimit)
	}
	return outcome{s.fault.name, s.load.Total, r.Acknowledged, r.Lost, r.Twice, r.Uncertain, recovered}
}

// awaitReady waits until a process says that it is.
func (p *process) awaitReady() {
	p.tb.Helper()
	until(p.tb, "readiness of "+p.line, func() bool {
		text, err := os.ReadFile(p.log)
		return err == nil && strings.Contains(string(text), "is ready")
	})
}

// acknowledged waits until that share of the load is.
func (s *scene) acknowledged(share float64) {
	s.Helper()
	until(s, fmt.Sprintf("an acknowledgement of %.0f %%", 100*share), func() bool {
		return float64(len(s.load.Acknowledged())) >= share*float64(s.load.Total)
	})
}

// acknowledgedMore waits until that many more submissions are, or all.
func (s *scene) acknowledgedMore(n int) {
	s.Helper()
	s.acknowledged(min(1, float64(len(s.load.Acknowledged())+n)/float64(s.load.Total)))
}

func (s *scene) ready() bool {
	response, err := http.Get(s.load.URL + "/readyz")
	if err != nil {
		return false
	}
	response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// process is a line of the Procfile at work.
type process struct {
	tb    testing.TB
	line  string
	cmd   *exec.Cmd
	log   string
	ended chan struct{}
}

func (s *scene) start(line string) *process {
	s.Helper()
	c := s.fleet.command(line)
	log, err := os.CreateTemp(s.fleet.folder, "log-")
	if err != nil {
		s.Fatal(err)
	}
	defer log.Close()
	c.Stderr = log
	if err := c.Start(); err != nil {
		s.Fatal(err)
	}
	p := &process{tb: s.T, line: line, cmd: c, log: log.Name(), ended: make(chan struct{})}
	go func() {
		_ = c.Wait()
		close(p.ended)
	}()
	s.Cleanup(func() {
		p.kill()
		if s.Failed() {
			s.Log(p.complaints())
		}
	})
	return p
}

// kill is kill -9.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}

func (p *process) signal(what syscall.Signal) { _ = p.cmd.Process.Signal(what) }

// stop sends SIGTERM and returns the exit code; -1 if it had to be killed after 35 s.
func (p *process) stop() int {
	p.signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(35 * time.Second):
		p.kill()
	}
	return p.cmd.ProcessState.ExitCode()
}

var digits = regexp.MustCompile(`[0-9]+`)

// complaints are the warnings and errors that it logged, each once.
func (p *process) complaints() string {
	text, _ := os.ReadFile(p.log)
	said, times := []string{}, map[string]int{}
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, `"level":"info"`) {
			continue
		}
		kind := digits.ReplaceAllString(line, "")
		if times[kind]++; times[kind] == 1 {
			said = append(said, line)
		}
	}
	return fmt.Sprintf("%s, pid %d, said:\n%s", p.line, p.cmd.Process.Pid, strings.Join(said[:min(len(said), 25)], ""))
}

// program builds leadmill once for all tests and returns where it is. A planted bug comes in by LEADMILL_OVERLAY, as it does
// for the tests.
func program(tb testing.TB) string {
	tb.Helper()
	path, err := built()
	if err != nil {
		tb.Fatal(err)
	}
	return path
}

var built = sync.OnceValues(func() (string, error) {
	folder, err := os.MkdirTemp("", "leadmill-program-")
	if err != nil {
		return "", err
	}
	programs = folder
	path := filepath.Join(folder, "leadmill")
	args := []string{"build", "-o", path}
	if overlay := os.Getenv("LEADMILL_OVERLAY"); overlay != "" {
		args = append(args, "-overlay", overlay)
	}
	if out, err := exec.Command("go", append(args, "./cmd/leadmill")...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
})

// programs is the folder that goes with the last test; "" if nothing was built.
var programs string
