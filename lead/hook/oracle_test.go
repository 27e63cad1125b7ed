package hook

import (
	"net/http"
	"strconv"
	"testing"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// FuzzAgainstTheLibrary compares with the Go library of Standard Webhooks. Ours refuses more: ids with blanks and full stops,
// and timestamps that are not written as the number they are.
func FuzzAgainstTheLibrary(f *testing.F) {
	wh, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		f.Fatal(err)
	}
	f.Add("msg_1", `{"email":"ada@example.com"}`, "v2,x", 0)
	f.Add("a.b", "", "v1,", 3)
	f.Fuzz(func(t *testing.T, id, body, junk string, at int) {
		theirs, err := wh.Sign(id, signedAt, []byte(body))
		if err != nil {
			t.Skip()
		}
		whole := junk + " " + theirs
		at = min(max(at, 0), len(whole))
		for _, signature := range []string{theirs, whole, theirs + " " + junk, whole[:at], whole[at:]} {
			h := Headers{ID: id, Timestamp: strconv.FormatInt(signedAt.Unix(), 10), Signature: signature}
			ours := h.Verify([]byte(body), signedAt, secret)
			if ours == ErrHeaders {
				continue
			}
			header := http.Header{"Webhook-Id": {id}, "Webhook-Timestamp": {h.Timestamp}, "Webhook-Signature": {signature}}
			if err := wh.VerifyIgnoringTimestamp([]byte(body), header); (err == nil) != (ours == nil) {
				t.Errorf("%q over %q as %q: ours %v, theirs %v", signature, body, id, ours, err)
			}
		}
	})
}
