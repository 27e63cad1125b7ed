package hook

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/leadmill/leadmill/lead"
	"github.com/leadmill/leadmill/lead/intake"
)

// Standard Webhooks: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md

// Window is how far the clocks of a sender and ours may be apart, either way.
const Window = 5 * time.Minute

// Why a request is not taken. The texts are for the sender.
var (
	ErrHeaders   = errors.New("want the headers webhook-id (without blanks and full stops), webhook-timestamp and webhook-signature")
	ErrTimestamp = errors.New("webhook-timestamp is not a whole number of seconds since 1970")
	ErrOld       = errors.New("webhook-timestamp is more than 5 minutes old: sign it again, or set the clock")
	ErrFuture    = errors.New("webhook-timestamp is more than 5 minutes ahead: set the clock")
	ErrSignature = errors.New("there is no such hook, or no signature fits: sign webhook-id.webhook-timestamp.body as sent, with the secret of the hook")
)

// Headers of a request.
type Headers struct {
	ID        string // the same at every try of a message
	Timestamp string // seconds since 1970
	Signature string // "v1," and base64; several are parted by blanks
}

// Verify checks that a body was signed with one of the secrets, not long before now. The error is one of those
// above.
func (h Headers) Verify(body []byte, now time.Time, secrets ...string) error {
	if h.ID == "" || h.Timestamp == "" || h.Signature == "" || !isID(h.ID) || strings.Contains(h.ID, ".") {
		return ErrHeaders
	}
	seconds, err := strconv.ParseInt(h.Timestamp, 10, 64)
	if err != nil || strconv.FormatInt(seconds, 10) != h.Timestamp { // what is signed is the text: there is one for each number
		return ErrTimestamp
	}
	window := int64(Window / time.Second)
	switch {
	case seconds < now.Unix()-window:
		return ErrOld
	case seconds > now.Unix()+window:
		return ErrFuture
	}
	fits := 0
	for _, secret := range secrets {
		key, err := StandardKey(secret)
		if err != nil {
			continue
		}
		want := h.sign(key, body)
		for given := range strings.SplitSeq(h.Signature, " ") {
			fits |= subtle.ConstantTimeCompare(want, []byte(given))
		}
	}
	if fits == 0 {
		return ErrSignature
	}
	return nil
}

func (h Headers) sign(key, body []byte) []byte {
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.", h.ID, h.Timestamp)
	mac.Write(body)
	return base64.StdEncoding.AppendEncode([]byte("v1,"), mac.Sum(nil))
}

// ErrSecret says that a secret cannot be used. It does not repeat it.
var ErrSecret = errors.New("want whsec_ and the base64 of 24 to 64 bytes")

// StandardKey is the key of a secret; whsec_ before it may be missing. ErrSecret if it is no base64, or of nothing.
func StandardKey(secret string) ([]byte, error) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil || len(key) == 0 {
		return nil, ErrSecret
	}
	return key, nil
}

// CheckSecret returns a secret as it is written, with whsec_, or ErrSecret if it is none that the specification allows.
func CheckSecret(secret string) (string, error) {
	key, err := StandardKey(secret)
	if err != nil || len(key) < 24 || len(key) > 64 {
		return "", ErrSecret
	}
	return "whsec_" + base64.StdEncoding.EncodeToString(key), nil
}

// readStandard takes the lead from data where the payload is an event as the specification recommends it, with type and
// data; any other object is the lead.
func readStandard(payload []byte, members []intake.Member) (lead.Submission, []lead.Reason) {
	var event bool
	var data map[string]any
	for _, m := range members {
		switch m.Key {
		case "type":
			_, event = m.Value.(string)
		case "data":
			data, _ = m.Value.(map[string]any)
		}
	}
	if !event || data == nil {
		return intake.Parse(payload, nil)
	}
	f := newFlat()
	for _, name := range slices.Sorted(maps.Keys(data)) {
		f.answer(name, data[name])
	}
	for _, m := range members {
		if m.Key != "data" {
			f.detail(m.Key, m.Value)
		}
	}
	return f.read()
}
