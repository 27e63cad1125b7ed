package intake

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"github.com/leadmill/leadmill/lead"
)

// Fields of a form that are instructions to us. Like every field whose name begins with _ they are no data of a lead.
const (
	RedirectField = "_redirect" // where to lead the sender to
	StartedField  = "_started"  // a token that says when the form was opened
)

// Suspicions are codes of the traps that programs go into and people do not.
const (
	Honeypot = "honeypot"  // filled in what people do not see
	TooFast  = "too_fast"  // sent before anybody can have filled it in
	BadToken = "bad_token" // made up when the form was opened
)

var suspicions = map[string]string{
	Honeypot: "A field was filled in that people do not see.",
	TooFast:  "The form was sent faster than people fill it in.",
	BadToken: "The form says when it was opened, but that is not from us.",
}

// Suspect is why a submission that went into a trap waits for a person.
func Suspect(code string) lead.Reason { return lead.Reason{Code: code, Message: suspicions[code]} }

// Text returns the text of a member, "" if there is none of that name or it holds something else.
func Text(members []Member, name string) string {
	for _, m := range members {
		if text, ok := m.Value.(string); ok && m.Key == name {
			return strings.TrimSpace(text)
		}
	}
	return ""
}

// Filled says whether there is a member of that name that holds anything.
func Filled(members []Member, name string) bool {
	for _, m := range members {
		if m.Key != name {
			continue
		}
		text, isText := m.Value.(string)
		return m.Value != nil && (!isText || strings.TrimSpace(text) != "")
	}
	return false
}

// StartToken says when a form was opened, in a way that nobody without the secret can make up. The time is the server's, so
// that the clock of a visitor does not matter.
func StartToken(secret string, at time.Time) string {
	ms := strconv.FormatInt(at.UnixMilli(), 10)
	return ms + "." + hex.EncodeToString(startMAC(secret, ms))
}

// Started reads a StartToken; not ok if it was not made with this secret.
func Started(secret, token string) (at time.Time, ok bool) {
	ms, signature, _ := strings.Cut(token, ".")
	mac, err := hex.DecodeString(signature)
	if err != nil || !hmac.Equal(mac, startMAC(secret, ms)) {
		return time.Time{}, false
	}
	n, err := strconv.ParseInt(ms, 10, 64)
	return time.UnixMilli(n), err == nil
}

func startMAC(secret, ms string) []byte {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(ms))
	return mac.Sum(nil)[:16]
}
