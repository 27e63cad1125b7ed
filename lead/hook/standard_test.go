package hook

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	secret = "whsec_c2VjcmV0IG9mIHRoZSB0ZXN0LCBsb25nIGVub3VnaA=="
	other  = "whsec_YW5vdGhlci1zZWNyZXQtb2YtMjQtYnl0ZQ=="
)

var signedAt = time.Unix(1772443800, 0)

func signed(t *testing.T, body string, secrets ...string) Headers {
	t.Helper()
	h := Headers{ID: "msg_1", Timestamp: strconv.FormatInt(signedAt.Unix(), 10)}
	for _, s := range secrets {
		key, err := StandardKey(s)
		if err != nil {
			t.Fatal(err)
		}
		h.Signature += " " + string(h.sign(key, []byte(body)))
	}
	h.Signature = strings.TrimSpace(h.Signature)
	return h
}

func TestASignatureFitsItsMessageOnly(t *testing.T) {
	body := `{"email":"ada@example.com"}`
	h := signed(t, body, secret)
	changed := func(change func(h *Headers)) Headers { c := h; change(&c); return c }
	for name, c := range map[string]struct {
		h    Headers
		body string
		now  time.Time
		want error
	}{
		"plain":         {h, body, signedAt, nil},
		"both":          {signed(t, body, other, secret), body, signedAt, nil},
		"at the limit":  {h, body, signedAt.Add(Window), nil},
		"old":           {h, body, signedAt.Add(Window + time.Second), ErrOld},
		"ahead":         {h, body, signedAt.Add(-Window - time.Second), ErrFuture},
		"other body":    {h, body + " ", signedAt, ErrSignature},
		"other secret":  {signed(t, body, other), body, signedAt, ErrSignature},
		"other id":      {changed(func(h *Headers) { h.ID = "msg_2" }), body, signedAt, ErrSignature},
		"id with a dot": {changed(func(h *Headers) { h.ID = "msg.1" }), body, signedAt, ErrHeaders},
		"long id":       {changed(func(h *Headers) { h.ID = strings.Repeat("x", 201) }), body, signedAt, ErrHeaders},
		"no signature":  {changed(func(h *Headers) { h.Signature = "" }), body, signedAt, ErrHeaders},
		"plus":          {changed(func(h *Headers) { h.Timestamp = "+" + h.Timestamp }), body, signedAt, ErrTimestamp},
		"zero":          {changed(func(h *Headers) { h.Timestamp = "0" + h.Timestamp }), body, signedAt, ErrTimestamp},
		"far":           {changed(func(h *Headers) { h.Timestamp = "-9223372036854775808" }), body, signedAt, ErrOld},
		"no pad":        {changed(func(h *Headers) { h.Signature = strings.TrimRight(h.Signature, "=") }), body, signedAt, ErrSignature},
	} {
		if err := c.h.Verify([]byte(c.body), c.now, secret); err != c.want {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if err := h.Verify([]byte(body), signedAt, other, secret); err != nil {
		t.Errorf("the second of two secrets: %v", err)
	}
}

func TestSecretsAreOfTheLengthTheyShallHave(t *testing.T) {
	long := func(n int) string { return base64.StdEncoding.EncodeToString(make([]byte, n)) }
	for s, ok := range map[string]bool{
		"": false, "whsec_": false, "whsec_***": false, "whsec_eA==": false, long(23): false, long(65): false, long(24): true, "whsec_" + long(64): true,
	} {
		got, err := CheckSecret(s)
		if (err == nil) != ok || ok && got != "whsec_"+strings.TrimPrefix(s, "whsec_") {
			t.Errorf("CheckSecret(%s) = %s, %v", s, got, err)
		}
	}
}

func TestAnEventHoldsTheLeadInItsData(t *testing.T) {
	reads(t, Standard, `{"type":"lead.created","timestamp":"2026-03-02T09:30:00Z","data":{"email":"ada@example.com","type":"hot","n":9007199254740993}}`,
		map[string]string{"email": "ada@example.com"}, map[string]any{"type": "hot", "type 2": "lead.created", "timestamp": "2026-03-02T09:30:00Z",
			"n": json.Number("9007199254740993")}, false)
	reads(t, Standard, `{"email":"ada@example.com","data":"x"}`, map[string]string{"email": "ada@example.com"}, map[string]any{"data": "x"}, false)
	reads(t, Standard, `{"data":{"email":"ada@example.com"}}`, map[string]string{}, map[string]any{"data": map[string]any{"email": "ada@example.com"}}, false)
}

func TestTheVectorsOfStandardWebhooks(t *testing.T) {
	type request struct {
		Name, Reason, Secret, Body string
		Now                        int64
		Headers                    map[string]string
	}
	var file struct {
		Fixed []struct {
			Secret, ID, Payload, Signature string
			Timestamp                      int64
		}
		Accept, Reject []request
		Bad            []struct{ Secret string } `json:"bad_secrets"`
	}
	decode(t, "standard-webhooks-vectors.json", &file)
	for _, f := range file.Fixed {
		key, err := StandardKey(f.Secret)
		if got := string(Headers{ID: f.ID, Timestamp: strconv.FormatInt(f.Timestamp, 10)}.sign(key, []byte(f.Payload))); err != nil || got != f.Signature {
			t.Errorf("signature %s, %v; want %s", got, err, f.Signature)
		}
	}
	verify := func(r request) error {
		h := http.Header{}
		for name, value := range r.Headers {
			h.Set(name, value)
		}
		return Headers{h.Get("webhook-id"), h.Get("webhook-timestamp"), h.Get("webhook-signature")}.Verify([]byte(r.Body), time.Unix(r.Now, 0), r.Secret)
	}
	for _, r := range file.Accept {
		if err := verify(r); err != nil {
			t.Errorf("%s: %v", r.Name, err)
		}
	}
	reasons := map[string]error{"signature": ErrSignature, "timestamp_old": ErrOld, "timestamp_future": ErrFuture,
		"timestamp_malformed": ErrTimestamp, "missing_header": ErrHeaders}
	for _, r := range file.Reject {
		if err := verify(r); err == nil || err != reasons[r.Reason] {
			t.Errorf("%s: %v, want %s", r.Name, err, r.Reason)
		}
	}
	for _, b := range file.Bad {
		if _, err := StandardKey(b.Secret); !errors.Is(err, ErrSecret) {
			t.Errorf("the secret %q: %v", b.Secret, err)
		}
	}
}

func FuzzVerify(f *testing.F) {
	f.Add("msg_1", "1772443800", "v1,x v1,", "{}")
	f.Fuzz(func(t *testing.T, id, stamp, signature, body string) {
		if err := (Headers{id, stamp, signature}).Verify([]byte(body), signedAt, secret, "", "whsec_***"); err == nil {
			t.Errorf("%q, %q, %q, %q was taken", id, stamp, signature, body)
		}
	})
}
