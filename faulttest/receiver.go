package faulttest

import (
	"encoding/json"
	"hash/fnv"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	webhook "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// Receiver takes deliveries and remembers every call. It checks signatures with the library of Standard Webhooks, which
// shares no code with ours.
type Receiver struct {
	URL    string
	Secret string
	// Moody answers 503 to the first call of one key in two hundred.
	Moody bool

	mu       sync.Mutex
	held     chan struct{} // closed when it answers again
	waiting  int
	calls    []Call
	seen     map[string]int
	problems []string
}

// Call is one delivery that arrived, in order of arrival.
type Call struct {
	Path  string // of the URL that was called: each destination has one of its own
	Key   string // Webhook-Id
	Lead  string
	Taken bool // it was answered with 200
}

// NewReceiver starts one until the test ends.
func NewReceiver(tb testing.TB, secret string) *Receiver {
	tb.Helper()
	oracle, err := webhook.NewWebhook(secret)
	if err != nil {
		tb.Fatal(err)
	}
	r := &Receiver{Secret: secret, seen: map[string]int{}, held: make(chan struct{})}
	r.Release()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(request.Body)
		if err != nil { // the caller was killed in the middle of its call
			return
		}
		if oracle.Verify(body, request.Header) != nil {
			r.problem("a delivery's signature is wrong")
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		r.wait()
		if !r.take(request.URL.Path, request.Header, body) {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	tb.Cleanup(server.Close)
	tb.Cleanup(r.Release)
	r.URL = server.URL
	return r
}

// Hold lets calls wait for an answer until Release.
func (r *Receiver) Hold() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held = make(chan struct{})
}

// Release answers the calls that wait.
func (r *Receiver) Release() {
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case <-r.held:
	default:
		close(r.held)
	}
}

// Waiting counts the calls that wait.
func (r *Receiver) Waiting() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.waiting
}

func (r *Receiver) wait() {
	r.mu.Lock()
	held := r.held
	r.waiting++
	r.mu.Unlock()
	<-held
	r.mu.Lock()
	r.waiting--
	r.mu.Unlock()
}

// take remembers a call and says whether it is taken.
func (r *Receiver) take(path string, header http.Header, body []byte) bool {
	var message struct{ Data struct{ ID string } }
	if json.Unmarshal(body, &message) != nil || message.Data.ID == "" {
		r.problem("a delivery has no lead")
	}
	key := header.Get("Webhook-Id")
	if key == "" || header.Get("Idempotency-Key") != key {
		r.problem("a delivery has no idempotency key")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen[key]++
	taken := !r.Moody || r.seen[key] > 1 || hash(key)%200 != 0
	r.calls = append(r.calls, Call{path, key, message.Data.ID, taken})
	return taken
}

func hash(key string) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(key))
	return h.Sum32()
}

func (r *Receiver) problem(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.problems = append(r.problems, text)
}

// Calls returns what arrived so far.
func (r *Receiver) Calls() []Call {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Call(nil), r.calls...)
}
