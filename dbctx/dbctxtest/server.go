package dbctxtest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Server is a PostgreSQL of one test's own, which may be stopped, killed and started again on its port.
type Server struct {
	tb      testing.TB
	cluster *cluster
	running *running // nil while it is stopped
}

// How a server is stopped.
const (
	Fast      = syscall.SIGINT  // it ends every session, then itself in order
	Immediate = syscall.SIGQUIT // it ends at once, and recovers when it starts
	Killed    = syscall.SIGKILL // as when the kernel needs memory
)

// StartServer starts one with these settings. It ends with the test, which is skipped where there is no PostgreSQL. A
// server of TEST_DATABASE_URL is left alone.
func StartServer(tb testing.TB, settings ...string) *Server {
	tb.Helper()
	return StartServerIn(tb, shortTemp(), settings...)
}

// StartServerIn keeps the files of the server below that folder, such as one on a small disk.
func StartServerIn(tb testing.TB, folder string, settings ...string) *Server {
	tb.Helper()
	bin, err := programs()
	if err != nil {
		tell(err)
		if os.Getenv("LEADMILL_REQUIRE_PG") == "1" {
			tb.Fatal(err)
		}
		tb.Skip("no PostgreSQL")
	}
	c, err := newCluster(bin, folder, settings)
	return startOn(tb, c, err)
}

func startOn(tb testing.TB, c *cluster, err error) *Server {
	tb.Helper()
	if err == nil {
		c.port, err = freePort()
	}
	if err != nil {
		tb.Fatal(err)
	}
	s := &Server{tb: tb, cluster: c}
	s.Start()
	tb.Cleanup(func() {
		s.Stop(Immediate)
		os.RemoveAll(c.folder)
	})
	return s
}

// Start starts a server that was stopped or has ended, and returns when it answers. What a killed one left running may
// take a moment to end.
func (s *Server) Start() {
	s.tb.Helper()
	if s.running != nil && s.running.alive() {
		return
	}
	var err error
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		if s.running, err = s.cluster.serve(); err == nil {
			return
		}
		<-time.After(100 * time.Millisecond)
	}
	s.tb.Fatal(err)
}

// Stop stops the server: Fast, Immediate or Killed. One that is stopped already stays so.
func (s *Server) Stop(how syscall.Signal) {
	if s.running != nil {
		s.running.end(how)
		s.running = nil
	}
}

// Address is the host and port it listens on.
func (s *Server) Address() string { return "127.0.0.1:" + strconv.Itoa(s.cluster.port) }

// URL of one of its databases.
func (s *Server) URL(database string) string { return s.cluster.postgres().url(database) }

// Exec runs one statement on a database.
func (s *Server) Exec(database, sql string) {
	s.tb.Helper()
	if err := s.exec(database, sql); err != nil {
		s.tb.Fatalf("%s: %v", sql, err)
	}
}

func (s *Server) exec(database, sql string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := pgx.Connect(ctx, s.URL(database))
	if err != nil {
		return err
	}
	defer c.Close(ctx)
	_, err = c.Exec(ctx, sql)
	return err
}

// Standby starts a server that follows this one, and returns when it does.
func (s *Server) Standby() *Server {
	s.tb.Helper()
	c, err := newFolder(s.cluster.bin, shortTemp(), s.cluster.settings)
	if err == nil {
		err = c.run("pg_basebackup", "-D", c.data(), "-h", "127.0.0.1", "-p", strconv.Itoa(s.cluster.port), "-U", "leadmill", "-R", "-c", "fast", "-N")
	}
	return startOn(s.tb, c, err)
}

// Promote makes a standby the primary and returns when it takes writes.
func (s *Server) Promote() {
	s.tb.Helper()
	s.Exec("postgres", "SELECT pg_promote(true, 60)")
}

// Log is what the server wrote about itself.
func (s *Server) Log() string {
	text, err := os.ReadFile(filepath.Join(s.cluster.folder, "log"))
	if err != nil {
		return fmt.Sprint(err)
	}
	return string(text)
}
