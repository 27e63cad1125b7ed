package leadmill_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/leadmill/leadmill/dbctx"
)

// How the processes end. Supervisors kill what has not ended 30 s after SIGTERM.

const supervisorsPatience = 30 * time.Second

// newFleet is a migrated database, a source's key and the program built.
func newFleet(t *testing.T, receiver string, environ ...string) (h *fleet, key string) {
	t.Helper()
	h = &fleet{tb: t, folder: t.TempDir(), address: freeAddress(t)}
	h.build()
	h.environ = append(os.Environ(), "PATH="+h.folder+":"+os.Getenv("PATH"), "DATABASE_URL="+unmigrated.URL(t, dbctx.Postgres),
		"ADDR="+h.address, "DB_POOL_SIZE=2", "DB_MAX_OVERFLOW=10", "LOG_LEVEL=warn")
	h.environ = append(h.environ, environ...)
	h.run("leadmill migrate up")
	h.run("leadmill user add ada@example.com --password-stdin", "correct horse battery\n")
	h.run("leadmill destination add crm --url " + receiver + " --allow-private --secret " + secret)
	var source struct{ Key string }
	if err := json.Unmarshal([]byte(h.run("leadmill source add form --country GB --json")), &source); err != nil {
		t.Fatal(err)
	}
	return h, source.Key
}

// end sends SIGTERM and returns when the process has ended, which must be well and in time.
func (f *fleet) end(name string, p *exec.Cmd) {
	f.tb.Helper()
	began := time.Now()
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		f.tb.Fatal(err)
	}
	if err := p.Wait(); err != nil {
		f.tb.Errorf("%s ended with %v after SIGTERM, want 0", name, err)
	}
	if took := time.Since(began); took > supervisorsPatience {
		f.tb.Errorf("%s took %s to end, a supervisor would have killed it", name, took)
	}
}

// send posts a lead as a client does that tries again while nobody listens or the answer is 503, and nothing else. It
// returns the id of the lead.
func (f *fleet) send(client *http.Client, key string, no int64) (id string) {
	until(f.tb, "an answer of web", func() bool {
		body := fmt.Sprintf(`{"email":"person%d@example.com"}`, no)
		r, err := http.NewRequest(http.MethodPost, "http://"+f.address+"/api/v1/leads", bytes.NewReader([]byte(body)))
		if err != nil {
			f.tb.Error(err)
			return true
		}
		r.Header.Set("Authorization", "Bearer "+key)
		r.Header.Set("Content-Type", "application/json")
		answer, err := client.Do(r)
		if errors.Is(err, syscall.ECONNREFUSED) {
			return false
		}
		if err != nil {
			f.tb.Errorf("lead %d: %v", no, err)
			return true
		}
		defer answer.Body.Close()
		var accepted struct{ ID string }
		err = json.NewDecoder(answer.Body).Decode(&accepted)
		switch {
		case answer.StatusCode == http.StatusServiceUnavailable:
			return false
		case answer.StatusCode != http.StatusAccepted || err != nil:
			f.tb.Errorf("lead %d: %s %v", no, answer.Status, err)
		}
		id = accepted.ID
		return true
	})
	return id
}

func TestStopsOneAfterTheOtherUnderLoadLoseNothingAndRepeatNothing(t *testing.T) {
	r := newReceiver(t)
	h, key := newFleet(t, r.URL)
	web, worker := h.start("leadmill web"), h.start("leadmill worker")
	var sent atomic.Int64
	var mu sync.Mutex
	var acknowledged []string
	enough := make(chan struct{})
	var clients sync.WaitGroup
	for range 2 {
		clients.Go(func() {
			client := &http.Client{Transport: &http.Transport{}} // keeps its connection, as clients do
			defer client.CloseIdleConnections()
			for {
				select {
				case <-enough:
					return
				default:
				}
				id := h.send(client, key, sent.Add(1))
				mu.Lock()
				acknowledged = append(acknowledged, id)
				mu.Unlock()
			}
		})
	}
	more := func() {
		goal := sent.Load() + 100
		until(t, "a hundred leads more", func() bool { return sent.Load() >= goal })
	}
	for range 2 {
		more()
		next := h.start("leadmill worker")
		h.end("worker", worker)
		worker = next
		more()
		h.end("web", web)
		web = h.start("leadmill web")
	}
	more()
	close(enough)
	clients.Wait()
	t.Logf("%d leads were acknowledged", len(acknowledged))
	for _, id := range acknowledged {
		until(t, "the delivery of lead "+id, func() bool { return r.calls(id) > 0 })
	}
	h.end("web", web)
	h.end("worker", worker)
	for _, id := range acknowledged {
		if n := r.calls(id); n != 1 {
			t.Errorf("lead %s was delivered %d times, want once", id, n)
		}
	}
}

func TestStopAtTheSecondSignalIsAtOnceAndLosesNothing(t *testing.T) {
	called, answer := make(chan struct{}, 10), make(chan struct{})
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		called <- struct{}{}
		select {
		case <-answer:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(receiver.Close)
	health := freeAddress(t)
	h, key := newFleet(t, receiver.URL, "WORKER_HTTP_ADDR="+health)
	web, worker := h.start("leadmill web"), h.start("leadmill worker")
	h.send(http.DefaultClient, key, 1)
	<-called
	signal := func() {
		if err := worker.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
	}
	signal()
	until(t, "the end of readiness", func() bool { return ready(health) == http.StatusServiceUnavailable })
	began := time.Now()
	signal()
	var ended *exec.ExitError
	if err := worker.Wait(); !errors.As(err, &ended) || ended.ExitCode() != 130 {
		t.Errorf("the worker ended with %v after the second signal, want 130", err)
	}
	if took := time.Since(began); took > supervisorsPatience/2 {
		t.Errorf("the worker took %s after the second signal", took)
	}
	close(answer)
	worker = h.start("leadmill worker")
	<-called // at once: it need not be found dead first
	h.end("worker", worker)
	h.end("web", web)
	var failed []struct{ Error string }
	if err := json.Unmarshal([]byte(h.run("leadmill jobs list --json")), &failed); err != nil || len(failed) != 0 {
		t.Errorf("failed jobs = %v, %v; want none", failed, err)
	}
}

func ready(address string) int {
	answer, err := http.Get("http://" + address + "/readyz")
	if err != nil {
		return 0
	}
	answer.Body.Close()
	return answer.StatusCode
}
