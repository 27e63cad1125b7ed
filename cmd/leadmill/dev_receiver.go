package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/leadmill/leadmill/jobs"
)

// receiver is what a destination's other end does: it checks the signature of Standard Webhooks and takes each message
// once. Its page shows what it got.
type receiver struct {
	url, secret string
	server      *http.Server

	mu            sync.Mutex
	seen          map[string]bool // webhook-ids
	latest        []string        // of the last messages
	repeats, bads int
}

func startReceiver() (*receiver, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &receiver{url: "http://" + l.Addr().String() + "/", secret: jobs.NewSecret(), seen: map[string]bool{}}
	r.server = &http.Server{Handler: r, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = r.server.Serve(l) }()
	return r, nil
}

func (r *receiver) close() { _ = r.server.Close() }

func (r *receiver) refused() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.bads
}

// ServeHTTP takes messages by POST and shows the last ones by GET.
func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	if request.Method != http.MethodPost {
		r.show(w)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, request.Body, 1<<20))
	if err != nil {
		http.Error(w, "the body did not arrive", http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.verified(request.Header, body, time.Now()) {
		r.bads++
		http.Error(w, "the signature does not fit", http.StatusUnauthorized)
		return
	}
	id := request.Header.Get("Webhook-Id")
	if r.seen[id] {
		r.repeats++
		return
	}
	r.seen[id] = true
	r.latest = append(r.latest, id)
	if len(r.latest) > 20 {
		r.latest = r.latest[1:]
	}
}

// tolerance is how old a message may be, so that nobody replays it later.
const tolerance = 5 * time.Minute

func (r *receiver) verified(h http.Header, body []byte, now time.Time) bool {
	id, stamp := h.Get("Webhook-Id"), h.Get("Webhook-Timestamp")
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil || now.Sub(time.Unix(seconds, 0)).Abs() > tolerance {
		return false
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(r.secret, "whsec_"))
	if err != nil {
		return false
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + stamp + "."))
	mac.Write(body)
	for _, signature := range strings.Fields(h.Get("Webhook-Signature")) {
		given, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(signature, "v1,"))
		if err == nil && hmac.Equal(given, mac.Sum(nil)) {
			return true
		}
	}
	return false
}

func (r *receiver) show(w http.ResponseWriter) {
	r.mu.Lock()
	defer r.mu.Unlock()
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintf(w, "%d messages verified, %d repeats, %d refused\n\n", len(r.seen), r.repeats, r.bads)
	for i := len(r.latest) - 1; i >= 0; i-- {
		fmt.Fprintln(w, r.latest[i])
	}
}
