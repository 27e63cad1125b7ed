package jobs

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/schema"
)

// raw serves connections by hand, each after the request has come, and returns the URL.
func raw(t *testing.T, serve func(c *net.TCPConn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
					serve(c.(*net.TCPConn))
				}
			}()
		}
	}()
	return "http://" + l.Addr().String()
}

func says(t *testing.T, text string) string {
	return raw(t, func(c *net.TCPConn) { _, _ = io.WriteString(c, text) })
}

func answers(t *testing.T, status int, headers ...string) string {
	l := listen(t, func(_ string, w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
	})
	return l.URL
}

// forever writes until nobody reads any more, a piece at every tick, and counts the bytes.
func forever(t *testing.T, head, piece string, every time.Duration, written *atomic.Int64) string {
	return raw(t, func(c *net.TCPConn) {
		tick := time.NewTicker(every)
		defer tick.Stop()
		_, err := io.WriteString(c, head)
		for err == nil {
			var n int
			n, err = io.WriteString(c, piece)
			written.Add(int64(n))
			<-tick.C
		}
	})
}

func TestWhateverAReceiverDoesADeliveryEndsWhereItBelongs(t *testing.T) {
	deliveryDatabases.Each(t, func(t *testing.T, db *dbctx.DB) {
		const (
			done, retrying, parked, uncertain = schema.DeliveryDone, schema.DeliveryRetrying, schema.DeliveryGivenUp, schema.DeliveryUncertain
			head                              = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
			limit                             = 3 * time.Second
		)
		closed := httptest.NewServer(nil)
		closed.Close()
		elsewhere := listen(t, func(string, http.ResponseWriter, *http.Request) {})
		var gigabyte, headers atomic.Int64
		d := newDepot(t, db)
		d.q.caller = newCaller(limit)
		type row struct {
			url             string
			repeats, single string // what becomes of it where repeats are told, and where they are not
			status          int
			text            string // in the last answer
		}
		rows := map[string]row{
			"takes it":         {answers(t, 204), done, done, 204, ""},
			"is empty":         {says(t, head+"Content-Length: 0\r\n\r\n"), done, done, 200, ""},
			"cuts its answer":  {says(t, head+"Content-Length: 100\r\n\r\nten bytes."), done, done, 200, "ten bytes."},
			"gigabyte":         {forever(t, head+"Content-Length: 1073741824\r\n\r\n", strings.Repeat("x", 1<<16), time.Microsecond, &gigabyte), done, done, 200, "xxx"},
			"drips":            {forever(t, head+"\r\n", "x", 10*time.Millisecond, new(atomic.Int64)), done, done, 200, "xxx"},
			"hangs":            {raw(t, func(c *net.TCPConn) { _, _ = io.Copy(io.Discard, c) }), retrying, uncertain, 0, "no answer in time"},
			"drips headers":    {forever(t, head, "A: b\r\n", 10*time.Millisecond, new(atomic.Int64)), retrying, uncertain, 0, "no answer in time"},
			"endless headers":  {forever(t, head, strings.Repeat("A: bbbbbbbb\r\n", 100), time.Microsecond, &headers), retrying, uncertain, 0, "connection failed"},
			"resets":           {raw(t, func(c *net.TCPConn) { _ = c.SetLinger(0) }), retrying, uncertain, 0, "connection failed"},
			"hangs up":         {says(t, ""), retrying, uncertain, 0, "connection failed"},
			"cuts its head":    {says(t, head), retrying, uncertain, 0, "connection failed"},
			"talks garbage":    {says(t, "\x00\xff\x16\x03garbage\r\n\r\n"), retrying, uncertain, 0, "connection failed"},
			"says SMTP":        {says(t, "220 mail.example ESMTP\r\n"), retrying, uncertain, 0, "connection failed"},
			"redirects":        {answers(t, 302, "Location", elsewhere.URL), retrying, uncertain, 302, ""},
			"moved":            {answers(t, 308, "Location", elsewhere.URL), retrying, retrying, 308, ""},
			"verifies wrongly": {answers(t, 401), retrying, retrying, 401, "verify with the secret of this destination"},
			"forbids":          {answers(t, 403), retrying, retrying, 403, "verify with the secret of this destination"},
			"is not found":     {answers(t, 404), retrying, retrying, 404, ""},
			"is busy":          {answers(t, 429, "Retry-After", "3600"), retrying, retrying, 429, ""},
			"is away":          {answers(t, 503, "Retry-After", "3600"), retrying, retrying, 503, ""},
			"fails":            {answers(t, 500), retrying, uncertain, 500, ""},
			"is a bad gateway": {answers(t, 502), retrying, uncertain, 502, ""},
			"malformed":        {answers(t, 400), parked, parked, 400, ""},
			"too large":        {answers(t, 413), parked, parked, 413, ""},
			"other type":       {answers(t, 415), parked, parked, 415, ""},
			"will not":         {answers(t, 422), parked, parked, 422, ""},
			"is gone":          {answers(t, 410), parked, parked, 410, ""},
			"refuses":          {closed.URL, retrying, retrying, 0, "connection refused"},
			"speaks no TLS":    {strings.Replace(answers(t, 200), "http:", "https:", 1), retrying, retrying, 0, "connection failed"},
		}
		ids := map[string]map[bool]int64{}
		for name, r := range rows {
			ids[name] = map[bool]int64{}
			for _, single := range []bool{false, true} {
				to := d.destination(schema.Destination{Name: fmt.Sprintf("%s %v", name, single), URL: r.url, NotIdempotent: single})
				ids[name][single] = d.plan(to, 1, 1)[0]
			}
		}
		began := time.Now()
		d.start(d.q)
		await(t, func() bool {
			return d.count(`SELECT count(*) FROM deliveries WHERE state IN ('pending', 'calling')`) == 0
		})
		for name, r := range rows {
			for single, want := range map[bool]string{false: r.repeats, true: r.single} {
				v := d.delivery(ids[name][single])
				if v.State != want || v.LastStatus != r.status || !strings.Contains(v.LastAnswer, r.text) || len(v.LastAnswer) > 2*answerKept {
					t.Errorf("a receiver that %s (single %v): %s, %d %q; want %s, %d %q", name, single, v.State, v.LastStatus, v.LastAnswer, want, r.status, r.text)
				}
				if wait := r.status == 429 || r.status == 503; wait && v.NextAt.Sub(began) < time.Hour {
					t.Errorf("a receiver that %s for an hour is called again at %s", name, v.NextAt)
				}
			}
		}
		if n := len(elsewhere.got()); n != 0 {
			t.Errorf("redirects were followed %d times", n)
		}
		const kernel = 64 << 20 // what sockets may hold on both sides
		if gigabyte.Load() > kernel || headers.Load() > kernel {
			t.Errorf("%d bytes of a body and %d of headers were read, want no more than the limit", gigabyte.Load(), headers.Load())
		}
	})
}

// A kept connection that breaks under a request makes net/http send it again if it thinks that this does no harm. What must not
// be repeated is never sent on one, also where another destination at the same host has left it.
func TestAKeptConnectionThatBreaksSendsNothingTwice(t *testing.T) {
	t.Parallel()
	for _, single := range []bool{false, true} {
		var requests atomic.Int64
		url := raw(t, func(c *net.TCPConn) {
			requests.Add(1)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil { // the second is read, and the connection broken
				requests.Add(1)
				_ = c.SetLinger(0)
			}
		})
		c := newCaller(5 * time.Second)
		t.Cleanup(c.close)
		to := schema.Destination{URL: url, Secret: "whsec_c2VjcmV0", AllowPrivate: true}
		first := c.post(context.Background(), to, "a", []byte("{}"), time.Now())
		to.NotIdempotent = single
		second := c.post(context.Background(), to, "b", []byte("{}"), time.Now())
		want := map[bool]int64{false: 3, true: 2}[single]
		if first.status != 200 || second.status != 200 || requests.Load() != want {
			t.Errorf("single %v: answers %d and %d after %d requests, want 200 and 200 after %d", single, first.status, second.status, requests.Load(), want)
		}
	}
}
