package dbctxtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// postgres is a server that tests may make databases on.
type postgres struct {
	base *url.URL
	mu   sync.Mutex
}

// url of a database; "" is the one that the server was given with.
func (s *postgres) url(database string) string {
	u := *s.base
	if database != "" {
		u.Path = "/" + database
	}
	return u.String()
}

// server finds or starts PostgreSQL, once for this process.
var server = sync.OnceValues(func() (*postgres, error) {
	if given := os.Getenv("TEST_DATABASE_URL"); given != "" {
		u, err := url.Parse(given)
		if err != nil {
			return nil, errors.New("TEST_DATABASE_URL cannot be read as a URL")
		}
		return &postgres{base: u}, nil
	}
	bin, err := programs()
	if err != nil {
		return nil, err
	}
	return start(bin)
})

// programs is the folder with initdb and postgres.
func programs() (string, error) {
	var folders []string
	if given := os.Getenv("LEADMILL_PG_BIN"); given != "" {
		folders = append(folders, given)
	}
	if found, err := exec.LookPath("postgres"); err == nil {
		if real, err := filepath.EvalSymlinks(found); err == nil {
			folders = append(folders, filepath.Dir(real))
		}
	}
	if out, err := exec.Command("pg_config", "--bindir").Output(); err == nil {
		folders = append(folders, strings.TrimSpace(string(out)))
	}
	debian, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	slices.SortFunc(debian, func(a, b string) int { return major(b) - major(a) })
	for _, folder := range append(folders, debian...) {
		if isFile(filepath.Join(folder, "initdb")) && isFile(filepath.Join(folder, "postgres")) {
			return folder, nil
		}
	}
	return "", errors.New("no PostgreSQL here, its half of the tests is skipped: apt-get install -y --no-install-recommends postgresql")
}

func major(folder string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(folder)))
	return n
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// start runs a server of this process's own on a random port, in a folder of its own.
func start(bin string) (*postgres, error) {
	folder, err := os.MkdirTemp("", "leadmill-pg-")
	if err != nil {
		return nil, err
	}
	cleanups.add(func() { os.RemoveAll(folder) })
	as, err := unprivileged(folder)
	if err != nil {
		return nil, err
	}
	data := filepath.Join(folder, "data")
	initdb := command(as, folder, filepath.Join(bin, "initdb"), "-D", data, "-U", "leadmill", "-A", "trust", "-E", "UTF8",
		"--locale=C.UTF-8", "--no-sync")
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w: %s", err, bytes.TrimSpace(out))
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(folder, "log"))
	if err != nil {
		return nil, err
	}
	run := command(as, folder, filepath.Join(bin, "postgres"), "-D", data, "-p", strconv.Itoa(port), "-k", folder,
		"-c", "listen_addresses=127.0.0.1", "-c", "max_connections=500", "-c", "fsync=off", "-c", "full_page_writes=off",
		"-c", "shared_buffers=128MB")
	run.Stdout, run.Stderr = log, log
	if err := run.Start(); err != nil {
		return nil, err
	}
	if err := guard(run); err != nil {
		return nil, err
	}
	s := &postgres{base: &url.URL{
		Scheme: "postgresql", User: url.User("leadmill"), Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), Path: "/postgres",
	}}
	return s, s.await(filepath.Join(folder, "log"))
}

// unprivileged gives the folder to a user who may run PostgreSQL; root may not.
func unprivileged(folder string) (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, os.Chown(folder, uid, gid)
	}
	return nil, errors.New("root may not run PostgreSQL, and there is no user postgres or nobody")
}

func command(as *syscall.Credential, folder, program string, args ...string) *exec.Cmd {
	c := exec.Command(program, args...)
	c.Dir = folder
	c.SysProcAttr = &syscall.SysProcAttr{Credential: as, Setpgid: true}
	return c
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// guard ends the server with this process, however that ends: the watchdog reads from a pipe that only this process
// holds open.
func guard(server *exec.Cmd) error {
	watchdog := exec.Command("sh", "-c", "read _; kill -QUIT "+strconv.Itoa(server.Process.Pid)+" 2>/dev/null")
	pipe, err := watchdog.StdinPipe()
	if err != nil {
		return err
	}
	watchdog.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := watchdog.Start(); err != nil {
		return err
	}
	cleanups.add(func() {
		_ = server.Process.Signal(syscall.SIGQUIT)
		_ = server.Wait()
		pipe.Close()
		_ = watchdog.Wait()
	})
	return nil
}

// await polls until the server answers.
func (s *postgres) await(log string) error {
	deadline := time.Now().Add(30 * time.Second)
	for {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		c, err := pgx.Connect(ctx, s.url(""))
		cancel()
		if err == nil {
			return c.Close(context.Background())
		}
		if time.Now().After(deadline) {
			text, _ := os.ReadFile(log)
			return fmt.Errorf("the temporary PostgreSQL does not answer: %w: %s", err, text)
		}
		<-time.After(10 * time.Millisecond)
	}
}
