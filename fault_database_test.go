package leadmill_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/leadmill/leadmill/dbctx/dbctxtest"
	"github.com/leadmill/leadmill/faulttest"
)

// What happens to the database.

var databaseFaults = []fault{
	{name: "PostgreSQL restarted, fast", leads: 2400, pace: 40, workers: 2, hurt: restart(dbctxtest.Fast, 0)},
	{name: "PostgreSQL restarted, immediate", leads: 2400, pace: 40, workers: 2, hurt: restart(dbctxtest.Immediate, 0)},
	{name: "PostgreSQL killed", leads: 2400, pace: 40, workers: 2, hurt: restart(dbctxtest.Killed, 0)},
	{name: "PostgreSQL gone for a minute", leads: 2400, pace: 40, workers: 2, hurt: restart(dbctxtest.Fast, time.Minute)},
	{name: "PostgreSQL out of connections", leads: 2400, pace: 40, workers: 2, settings: []string{"max_connections=60"}, hurt: takeConnections},
	{name: "PostgreSQL turned read-only", leads: 2400, pace: 40, workers: 2, hurt: turnReadOnly},
	{name: "PostgreSQL with a full disk", leads: 2400, pace: 40, workers: 2, disk: tinyDisk("400m"), hurt: fillDisk},
	{name: "a standby promoted", leads: 2400, pace: 40, workers: 2, hurt: promote, route: withStandby},
	{name: "behind PgBouncer, which is restarted", leads: 2400, pace: 40, workers: 2, share: true, hurt: restartBouncer, route: throughBouncer},
	{name: "every wire cut for a while", leads: 2400, pace: 40, workers: 2, hurt: cutWires, route: throughWires},
}

// restart ends the server in some way, and starts it again after a while.
func restart(how syscall.Signal, away time.Duration) func(*scene) {
	return func(s *scene) {
		s.acknowledged(0.3)
		s.server.Stop(how)
		s.expectRefusal()
		<-time.After(away)
		s.server.Start()
	}
}

// expectRefusal waits until web says that it cannot take leads now.
func (s *scene) expectRefusal() {
	s.Helper()
	before := s.load.Refused()
	until(s, "an answer of 503", func() bool { return s.load.Refused() > before })
}

// takeConnections leaves none for anybody else for a while, and cuts those that are there.
func takeConnections(s *scene) {
	s.acknowledged(0.3)
	config, err := pgx.ParseConfig(s.url)
	if err != nil {
		s.Fatal(err)
	}
	config.RuntimeParams["application_name"] = "greed"
	var greed []*pgx.Conn
	before, end := s.load.Refused(), time.Now().Add(10*time.Second)
	until(s, "an answer of 503", func() bool {
		c, err := pgx.ConnectConfig(s.Context(), config)
		if err == nil {
			greed = append(greed, c)
		} else if len(greed) > 0 {
			_, _ = greed[0].Exec(s.Context(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'leads' AND application_name <> 'greed'")
		}
		return time.Now().After(end) && s.load.Refused() > before
	})
	for _, c := range greed {
		c.Close(s.Context())
	}
}

// turnReadOnly is what a primary looks like that was demoted.
func turnReadOnly(s *scene) {
	s.acknowledged(0.3)
	s.server.Exec("postgres", "ALTER SYSTEM SET default_transaction_read_only = on")
	s.server.Exec("postgres", "SELECT pg_reload_conf()")
	s.expectRefusal()
	until(s, "readiness to turn off", func() bool { return !s.ready() })
	<-time.After(5 * time.Second)
	s.server.Exec("postgres", "ALTER SYSTEM RESET default_transaction_read_only")
	s.server.Exec("postgres", "SELECT pg_reload_conf()")
}

// fillDisk leaves no byte to the server, for a while. One that has ended over it is started again.
func fillDisk(s *scene) {
	s.acknowledged(0.2)
	ballast := filepath.Join(s.disk, "ballast")
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end); {
		s.fill(ballast)
		<-time.After(50 * time.Millisecond)
	}
	if err := os.Remove(ballast); err != nil {
		s.Error(err)
	}
	if s.server != nil {
		s.server.Start()
	}
}

// fill appends to a file until nothing more goes in.
func (s *scene) fill(file string) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return // not even a name goes in
	}
	defer f.Close()
	for _, size := range []int{1 << 20, 4 << 10, 512} {
		for block := make([]byte, size); err == nil; {
			_, err = f.Write(block)
		}
		err = nil
	}
}

// withStandby lets every commit wait for a second server, and gives the processes both addresses.
func withStandby(s *scene) string {
	s.standby = s.server.Standby()
	s.server.Exec("postgres", "ALTER SYSTEM SET synchronous_standby_names = '*'")
	s.server.Exec("postgres", "SELECT pg_reload_conf()")
	return "postgresql://leadmill@" + s.server.Address() + "," + s.standby.Address() + "/leads?target_session_attrs=read-write"
}

func promote(s *scene) {
	s.acknowledged(0.3)
	s.server.Stop(dbctxtest.Killed)
	s.expectRefusal()
	s.standby.Promote()
	s.server = s.standby
	s.open(s.standby.URL("leads"))
}

func throughWires(s *scene) string {
	s.wires = faulttest.NewWires(s, s.server.Address())
	return "postgresql://leadmill@" + s.wires.Address + "/leads"
}

func cutWires(s *scene) {
	for range s.rounds(5, 2) {
		s.acknowledgedMore(200)
		s.wires.Cut()
		<-time.After(3 * time.Second)
		s.wires.Mend()
	}
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
