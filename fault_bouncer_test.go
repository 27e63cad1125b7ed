package leadmill_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/leadmill/leadmill/dbctx/dbctxtest"
)

// throughBouncer puts PgBouncer in front of the server, in transaction mode, as the documentation says.
func throughBouncer(s *scene) string {
	host, port, _ := net.SplitHostPort(freeAddress(s.T))
	_, server, _ := net.SplitHostPort(s.server.Address())
	folder, err := os.MkdirTemp("", "leadmill-bouncer-") // which its user may read
	if err == nil {
		s.Cleanup(func() { os.RemoveAll(folder) })
		err = errors.Join(os.Chmod(folder, 0o755), os.WriteFile(filepath.Join(folder, "users"), []byte("\"leadmill\" \"\"\n"), 0o644),
			os.WriteFile(filepath.Join(folder, "ini"), []byte(fmt.Sprintf(bouncerSettings, server, host, port, folder)), 0o644))
	}
	if err != nil {
		s.Fatal(err)
	}
	s.bouncer = s.start(bouncer(s) + filepath.Join(folder, "ini"))
	return "postgresql://leadmill@" + net.JoinHostPort(host, port) + "/leads"
}

const bouncerSettings = `[databases]
leads = host=127.0.0.1 port=%s

[pgbouncer]
listen_addr = %s
listen_port = %s
unix_socket_dir =
auth_type = trust
auth_file = %s/users
pool_mode = transaction
default_pool_size = 20
max_client_conn = 200
`

// bouncer is how PgBouncer is called. It does not like to be root.
func bouncer(s *scene) string {
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		program, err = exec.LookPath("/usr/sbin/pgbouncer")
	}
	switch {
	case err != nil && os.Getenv("LEADMILL_REQUIRE_PG") == "1":
		s.Fatal("no PgBouncer here: apt-get install -y --no-install-recommends pgbouncer")
	case err != nil:
		s.Skip("no PgBouncer here: apt-get install -y --no-install-recommends pgbouncer")
	case os.Geteuid() == 0:
		return program + " -q -u nobody "
	}
	return program + " -q "
}

// restartBouncer kills it again and again, and now and then the server behind it.
func restartBouncer(s *scene) {
	for round := range s.rounds(6, 2) {
		s.acknowledgedMore(200)
		s.bouncer.kill()
		if round%2 == 1 {
			s.server.Stop(dbctxtest.Immediate)
			s.server.Start()
		}
		s.expectRefusal()
		s.bouncer = s.start(s.bouncer.line)
	}
}
