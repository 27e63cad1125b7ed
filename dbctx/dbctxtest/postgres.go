package dbctxtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
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

// server is the one that tests share: it forgets what a power cut would take, and is fast.
var server = sync.OnceValues(func() (*postgres, error) {
	return findServer([]string{"fsync=off", "full_page_writes=off", "shared_buffers=128MB"})
})

// findServer finds PostgreSQL, or starts one with these settings.
func findServer(settings []string) (*postgres, error) {
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
	return start(bin, settings)
}

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

// start runs a server of this process's own in a folder of its own.
func start(bin string, settings []string) (*postgres, error) {
	c, err := newCluster(bin, shortTemp(), settings)
	if err != nil {
		return nil, err
	}
	for range 3 { // another process may take the port before the server does
		if c.port, err = freePort(); err != nil {
			return nil, err
		}
		running, err := c.serve()
		if err == nil {
			cleanups.add(func() { running.end(syscall.SIGQUIT) })
			return c.postgres(), nil
		}
		tell(err)
	}
	return nil, errors.New("the temporary PostgreSQL does not start")
}

// shortTemp is the folder for temporary files, or another one if its name is too long for a socket in it.
func shortTemp() string {
	if len(os.TempDir()) > 60 {
		return "/tmp"
	}
	return os.TempDir()
}

// cluster is a folder with databases that a server can be run on.
type cluster struct {
	bin, folder string
	as          *syscall.Credential
	settings    []string
	port        int
}

// newCluster makes one below a folder, which goes with this process.
func newCluster(bin, below string, settings []string) (*cluster, error) {
	c, err := newFolder(bin, below, settings)
	if err != nil {
		return nil, err
	}
	return c, c.run("initdb", "-D", c.data(), "-U", "leadmill", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
}

// newFolder is a cluster without any databases.
func newFolder(bin, below string, settings []string) (*cluster, error) {
	folder, err := os.MkdirTemp(below, "leadmill-pg-")
	if err != nil {
		return nil, err
	}
	cleanups.add(func() { os.RemoveAll(folder) })
	as, err := unprivileged(folder)
	return &cluster{bin: bin, folder: folder, as: as, settings: settings}, err
}

func (c *cluster) data() string { return filepath.Join(c.folder, "data") }

// run runs one of PostgreSQL's programs to its end.
func (c *cluster) run(program string, args ...string) error {
	out, err := command(c.as, c.folder, filepath.Join(c.bin, program), args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", program, err, bytes.TrimSpace(out))
	}
	return nil
}

func (c *cluster) postgres() *postgres {
	return &postgres{base: &url.URL{
		Scheme: "postgresql", User: url.User("leadmill"), Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(c.port)), Path: "/postgres",
	}}
}

// serve starts the server on the cluster's port and returns when it answers.
func (c *cluster) serve() (*running, error) {
	log, err := os.OpenFile(filepath.Join(c.folder, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	args := []string{"-D", c.data(), "-p", strconv.Itoa(c.port), "-k", c.folder}
	for _, setting := range append([]string{"listen_addresses=127.0.0.1", "max_connections=500"}, c.settings...) {
		args = append(args, "-c", setting)
	}
	server := command(c.as, c.folder, filepath.Join(c.bin, "postgres"), args...)
	server.Stdout, server.Stderr = log, log
	if err := server.Start(); err != nil {
		return nil, err
	}
	r, err := guard(server, c.folder)
	if err != nil {
		return nil, err
	}
	if err := c.await(r); err != nil {
		r.end(syscall.SIGQUIT)
		return nil, err
	}
	return r, nil
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

// watchdog reads from a pipe that only this process holds open. When that ends without having stopped the server
// itself, it stops it and removes its folder.
const watchdog = `read line && exit
kill -QUIT "$1"
for i in 1 2 3 4 5 6 7 8 9 10; do kill -0 "$1" && sleep 0.1; done
rm -rf "$2"`

// running is a server with its watchdog.
type running struct {
	server, dog *exec.Cmd
	pipe        io.Writer
	wait        func() // for the server's end
}

// guard ends the server with this process, however that ends.
func guard(server *exec.Cmd, folder string) (*running, error) {
	dog := exec.Command("sh", "-c", watchdog, "sh", strconv.Itoa(server.Process.Pid), folder)
	pipe, err := dog.StdinPipe()
	if err != nil {
		return nil, err
	}
	dog.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := dog.Start(); err != nil {
		return nil, err
	}
	r := &running{server: server, dog: dog, pipe: pipe}
	r.wait = sync.OnceFunc(func() { _ = server.Wait() })
	return r, nil
}

// alive says whether the server runs: one that has ended is a zombie until it is waited for.
func (r *running) alive() bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", r.server.Process.Pid))
	if err != nil {
		return r.server.Process.Signal(syscall.Signal(0)) == nil
	}
	_, state, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(state, "Z")
}

// end sends the server a signal that ends it, and waits for that.
func (r *running) end(signal syscall.Signal) {
	_ = r.server.Process.Signal(signal)
	r.wait()
	_, _ = r.pipe.Write([]byte("stopped\n"))
	_ = r.dog.Wait()
}

// await polls until the server answers, or has ended.
func (c *cluster) await(r *running) error {
	deadline := time.Now().Add(30 * time.Second)
	for {
		err := c.postgres().isOf(c.data())
		if err == nil {
			return nil
		}
		if !r.alive() || time.Now().After(deadline) {
			text, _ := os.ReadFile(filepath.Join(c.folder, "log"))
			return fmt.Errorf("the temporary PostgreSQL does not answer: %w: %s", err, text)
		}
		<-time.After(10 * time.Millisecond)
	}
}

// isOf says whether the server that answers is the one of that folder, and not another process's on the same port.
func (s *postgres) isOf(data string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	c, err := pgx.Connect(ctx, s.url(""))
	if err != nil {
		return err
	}
	defer c.Close(ctx)
	var has string
	if err := c.QueryRow(ctx, "SHOW data_directory").Scan(&has); err != nil {
		return err
	}
	if has != data {
		return errors.New("another server has its port")
	}
	return nil
}
