package leadmill_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/dbctx/dbctxtest"
)

// The program as it is run: the processes of the Procfile, each of its own, on one PostgreSQL.

var unmigrated = dbctxtest.New("processes", nil)

func TestTheProcfilesProcessesDeliverALead(t *testing.T) {
	url := unmigrated.URL(t, dbctx.Postgres)
	h := &fleet{tb: t, folder: t.TempDir(), address: freeAddress(t)}
	h.build()
	h.environ = append(os.Environ(), "PATH="+h.folder+":"+os.Getenv("PATH"), "DATABASE_URL="+url, "ADDR="+h.address,
		"DB_POOL_SIZE=2", "DB_MAX_OVERFLOW=10", "LOG_LEVEL=warn")
	lines := procfile(t)
	h.run(lines["release"])
	r := newReceiver(t)
	h.run("leadmill user add ada@example.com --role admin --password-stdin", "correct horse battery\n")
	h.run("leadmill destination add crm --url " + r.URL + " --allow-private --secret " + secret)
	var source struct{ Key string }
	if err := json.Unmarshal([]byte(h.run("leadmill source add form --country GB --json")), &source); err != nil {
		t.Fatal(err)
	}
	web, worker := h.start(lines["web"]), h.start(lines["worker"])
	id := h.curl(source.Key, `{"email":"Ada@Example.com","name":"ada lovelace"}`)
	until(t, "the delivery", func() bool { return r.calls(id) == 1 })
	for name, p := range map[string]*exec.Cmd{"web": web, "worker": worker} {
		if err := p.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		if err := p.Wait(); err != nil {
			t.Errorf("%s ended with %v after SIGTERM, want 0", name, err)
		}
	}
}

// fleet is where the processes run.
type fleet struct {
	tb              testing.TB
	folder, address string
	environ         []string
}

// build puts the program into the fleet's folder.
func (f *fleet) build() {
	f.tb.Helper()
	if err := os.Symlink(program(f.tb), filepath.Join(f.folder, "leadmill")); err != nil {
		f.tb.Fatal(err)
	}
}

// command is a line of the Procfile, run by a shell as foreman does.
func (f *fleet) command(line string) *exec.Cmd {
	c := exec.CommandContext(context.Background(), "sh", "-c", "exec "+line)
	c.Dir, c.Env, c.Stderr = f.folder, f.environ, &lines{f.tb, line}
	return c
}

func (f *fleet) run(line string, stdin ...string) string {
	f.tb.Helper()
	c := f.command(line)
	c.Stdin = strings.NewReader(strings.Join(stdin, ""))
	out, err := c.Output()
	if err != nil {
		f.tb.Fatalf("%s: %v", line, err)
	}
	return string(out)
}

func (f *fleet) start(line string) *exec.Cmd {
	f.tb.Helper()
	c := f.command(line)
	if err := c.Start(); err != nil {
		f.tb.Fatal(err)
	}
	f.tb.Cleanup(func() { _ = c.Process.Kill() })
	return c
}

// curl posts a lead as the README does, as soon as web answers, and returns the lead's id: a new lead has the id of its
// submission.
func (f *fleet) curl(key, body string) string {
	f.tb.Helper()
	if _, err := exec.LookPath("curl"); err != nil {
		f.tb.Skip("no curl here, the processes are not tried: apt-get install -y curl")
	}
	var accepted struct{ ID string }
	until(f.tb, "an answer of web", func() bool {
		out, err := exec.Command("curl", "-s", "--fail", "http://"+f.address+"/api/v1/leads", "-H", "Authorization: Bearer "+key,
			"-H", "Content-Type: application/json", "-H", "Idempotency-Key: once", "-d", body).Output()
		return err == nil && json.Unmarshal(out, &accepted) == nil
	})
	return accepted.ID
}

func procfile(t testing.TB) map[string]string {
	t.Helper()
	f, err := os.Open("Procfile")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := map[string]string{}
	for s := bufio.NewScanner(f); s.Scan(); {
		name, line, found := strings.Cut(s.Text(), ": ")
		if !found {
			t.Fatalf("Procfile: %q is not a name and a command", s.Text())
		}
		lines[name] = line
	}
	return lines
}

func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// lines shows what a process complains about.
type lines struct {
	tb   testing.TB
	name string
}

// Write is io.Writer.
func (l *lines) Write(b []byte) (int, error) {
	l.tb.Logf("%s: %s", l.name, strings.TrimSpace(string(b)))
	return len(b), nil
}
