package jobs

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/leadmill/leadmill/lead"
	"github.com/leadmill/leadmill/schema"
)

// Limits of a call.
const (
	callTimeout   = 20 * time.Second // from the first byte out to the last byte in
	answerLimit   = 64 << 10         // bytes read of an answer
	answerKept    = 500              // bytes kept of it
	dialTimeout   = 5 * time.Second
	idleCallConns = 8 // kept open for each destination
)

// caller posts webhooks as Standard Webhooks says: signed, with an id that stays the same at every try.
type caller struct{ clients map[way]*http.Client }

// way is how a receiver is reached.
type way struct {
	private bool // at an address of our own network, too
	fresh   bool // on a connection of its own
}

func newCaller(timeout time.Duration) *caller {
	c := &caller{map[way]*http.Client{}}
	for _, w := range []way{{}, {private: true}, {fresh: true}, {private: true, fresh: true}} {
		c.clients[w] = newClient(timeout, w)
	}
	return c
}

// newClient follows no redirect: a signed message goes to the address that was agreed, or nowhere. It takes no
// proxy from the environment either.
func newClient(timeout time.Duration, w way) *http.Client {
	dialer := &net.Dialer{Timeout: dialTimeout}
	if !w.private {
		dialer.Control = refusePrivate
	}
	return &http.Client{
		Timeout: timeout,
		Transport: &http.Transport{
			DialContext:            dialer.DialContext,
			TLSHandshakeTimeout:    dialTimeout,
			MaxIdleConnsPerHost:    idleCallConns,
			IdleConnTimeout:        time.Minute,
			DisableKeepAlives:      w.fresh,
			MaxResponseHeaderBytes: answerLimit,
			DisableCompression:     true, // what is read is what was sent, and no more than that
			ForceAttemptHTTP2:      true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func (c *caller) close() {
	for _, client := range c.clients {
		client.CloseIdleConnections()
	}
}

var errPrivateAddress = errors.New("the address is private; allow it with --allow-private if that is meant")

// refusePrivate looks at the address that is really dialled, after every name has been resolved, so a name
// that points inwards is refused as well.
func refusePrivate(_, address string, _ syscall.RawConn) error {
	host, err := netip.ParseAddrPort(address)
	if err != nil {
		return errPrivateAddress
	}
	if !public(host.Addr().Unmap()) {
		return errPrivateAddress
	}
	return nil
}

// reserved are ranges that the standard library does not call private but that lead nowhere public: shared
// address space (RFC 6598), protocol assignments (RFC 6890), benchmarking (RFC 2544), class E, and the IPv6
// ways to write an IPv4 address (RFC 6052, RFC 3056).
var reserved = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("2002::/16"),
}

func public(ip netip.Addr) bool {
	for _, p := range reserved {
		if p.Contains(ip) {
			return false
		}
	}
	return ip.IsGlobalUnicast() && !ip.IsPrivate()
}

// answer is how a call ended.
type answer struct {
	status      int           // 0: there was no answer
	text        string        // the beginning of the answer, or why there was none
	retryAfter  time.Duration // 0: not said
	sent        bool          // some of the message may have reached the receiver
	interrupted bool          // this process broke the call off
}

func (a answer) taken() bool { return a.status >= 200 && a.status <= 299 }
func (a answer) gone() bool  { return a.status == http.StatusGone }

// refused says that the receiver understood the message and will not take it, today or tomorrow.
func (a answer) refused() bool {
	switch a.status {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity:
		return true
	}
	return false
}

// perhapsTaken says that the receiver may have done what it was told, although it did not say so. 503 and the redirects that ask
// for the same request elsewhere say that it has not; the other redirects are often sent after the work.
func (a answer) perhapsTaken() bool {
	switch {
	case a.status == 0:
		return a.sent
	case a.status == http.StatusTemporaryRedirect, a.status == http.StatusPermanentRedirect, a.status == http.StatusServiceUnavailable:
		return false
	default:
		return a.status >= 500 || a.status < 400
	}
}

// advice is the answer, and what to look at where the answer alone misleads.
func (a answer) advice() string {
	if a.status == http.StatusUnauthorized || a.status == http.StatusForbidden {
		return "does the receiver verify with the secret of this destination, over webhook-id.webhook-timestamp.body as they " +
			"came, and is its clock right? It says: " + a.text
	}
	return a.text
}

func (c *caller) post(ctx context.Context, d schema.Destination, id string, body []byte, now time.Time) answer {
	var sent atomic.Bool
	request, err := http.NewRequestWithContext(watchSent(ctx, &sent), http.MethodPost, d.URL, bytes.NewReader(body))
	if err != nil {
		return answer{text: "the URL of the destination cannot be used"}
	}
	stamp := strconv.FormatInt(now.Unix(), 10)
	signature, err := Sign(d.Secret, id, stamp, body)
	if err != nil {
		return answer{text: err.Error()}
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "leadmill")
	request.Header.Set("Webhook-Id", id)
	request.Header.Set("Webhook-Timestamp", stamp)
	request.Header.Set("Webhook-Signature", signature)
	request.Header.Set("Idempotency-Key", id)
	if d.NotIdempotent {
		// With that header net/http sends a request again by itself when a connection breaks, unless the body cannot be had
		// twice. Nor is it sent on a connection that was kept, also not by another destination at the same host: one that its
		// other end has closed meanwhile would fail it, or leave us in doubt.
		request.GetBody = nil
	}
	response, err := c.clients[way{private: d.AllowPrivate, fresh: d.NotIdempotent}].Do(request)
	if ctx.Err() != nil && err != nil {
		return answer{text: "interrupted, because this process stops", sent: sent.Load(), interrupted: true}
	}
	if err != nil {
		return answer{text: whyNot(err), sent: sent.Load()}
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(response.Body, answerLimit))
	return answer{status: response.StatusCode, text: beginning(text), retryAfter: retryAfter(response.Header, now), sent: true}
}

// watchSent sets sent once the message may be on its way. Each connection that is tried for it begins anew: net/http tries
// another only if nothing was written, or if a repeat does no harm.
func watchSent(ctx context.Context, sent *atomic.Bool) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn:      func(string) { sent.Store(false) },
		WroteHeaders: func() { sent.Store(true) },
	})
}

// whyNot says why there was no answer, without the URL, which may hold a secret of the receiver.
func whyNot(err error) string {
	var timeout net.Error
	switch {
	case errors.Is(err, errPrivateAddress):
		return errPrivateAddress.Error()
	case errors.As(err, &timeout) && timeout.Timeout():
		return "no answer in time"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	}
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return "the name of the host cannot be resolved"
	}
	return "the connection failed"
}

func beginning(text []byte) string {
	s := strings.ReplaceAll(strings.ToValidUTF8(string(text), "\uFFFD"), "\x00", "\uFFFD")
	if len(s) <= answerKept {
		return s
	}
	cut := answerKept
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut]
}

// retryAfter reads seconds or a date (RFC 9110, 10.2.3); 0 if there is neither. A date is by the clock of the receiver, if
// it tells its time.
func retryAfter(h http.Header, now time.Time) time.Duration {
	value := h.Get("Retry-After")
	if seconds, err := strconv.Atoi(value); err == nil && seconds >= 0 {
		return time.Duration(min(seconds, 1<<30)) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		if theirs, err := http.ParseTime(h.Get("Date")); err == nil {
			now = theirs
		}
		return max(0, at.Sub(now))
	}
	return 0
}

// Sign makes the webhook-signature of Standard Webhooks: "v1," and the base64 of HMAC-SHA256 over
// "id.timestamp.body" with the bytes behind "whsec_". The timestamp is in seconds since 1970.
func Sign(secret, id, timestamp string, body []byte) (string, error) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil || len(key) == 0 {
		return "", errors.New("the secret of the destination is not whsec_ and base64")
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.", id, timestamp)
	mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)), nil
}

// webhookLead is the lead as receivers see it. Ids are strings, as in the API.
type webhookLead struct {
	ID          string            `json:"id"`
	State       string            `json:"state"`
	Score       int               `json:"score"`
	Owner       string            `json:"owner,omitempty"`
	Fields      map[string]string `json:"fields"`
	Extra       map[string]any    `json:"extra,omitempty"`
	Submissions int               `json:"submissions"`
	CreatedAt   time.Time         `json:"created_at"`
	UpdatedAt   time.Time         `json:"updated_at"`
}

func webhookBody(v schema.Delivery, l schema.Lead) ([]byte, error) {
	fields := map[string]string{}
	for _, name := range lead.FieldNames {
		if value := l.Value(name); value != "" {
			fields[name] = value
		}
	}
	return json.Marshal(struct {
		Type      string      `json:"type"`
		Timestamp time.Time   `json:"timestamp"`
		Data      webhookLead `json:"data"`
	}{v.Event, v.CreatedAt, webhookLead{
		ID: strconv.FormatInt(l.ID, 10), State: l.State, Score: l.Score, Owner: l.Owner, Fields: fields,
		Extra: l.Extra, Submissions: l.Submissions, CreatedAt: l.CreatedAt, UpdatedAt: l.UpdatedAt,
	}})
}
