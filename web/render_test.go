package web

import (
	"encoding/json"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/leadmill/leadmill/schema"
)

func TestTexts(t *testing.T) {
	at := time.Date(2026, 11, 23, 21, 5, 9, 0, time.FixedZone("", 3600))
	var none *time.Time
	for _, c := range []struct{ got, want string }{
		{string(when(at)), `<time datetime="2026-11-23T20:05:09Z">2026-11-23 20:05:09</time>`},
		{string(when(&at)), string(when(at))},
		{string(when(none)), "–"},
		{number(int64(0)), "0"}, {number(999), "999"}, {number(1000), "1,000"}, {number(1234567), "1,234,567"}, {number(-1000), "-1,000"},
		{span(-time.Second), "0 s"}, {span(59 * time.Second), "59 s"}, {span(90 * time.Minute), "1 h"}, {span(72 * time.Hour), "3 days"},
		{label("email"), "E-mail"}, {label("first_name"), "First name"}, {label(""), ""},
		{pretty(json.RawMessage(`{"a":1}`)), "{\n  \"a\": 1\n}"}, {pretty(json.RawMessage(`{`)), "{"},
		{address("https://user:pw@crm.example/hook?token=1#x"), "https://crm.example/hook"},
		{searchText(" ada "), "ada"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

func TestLocalPath(t *testing.T) {
	for path, want := range map[string]string{
		"/leads?q=a": "/leads?q=a", "": "/", "//evil.example": "/", "/\\evil.example": "/", "https://evil.example": "/",
		"evil": "/", "/\t/evil.example": "/", "/a\r\nSet-Cookie: x": "/",
	} {
		if got := localPath(path, "/"); got != want {
			t.Errorf("localPath(%q) = %q, want %q", path, got, want)
		}
	}
}

func TestAddresses(t *testing.T) {
	r := httptest.NewRequest("GET", "/", nil)
	for remote, want := range map[string]string{
		"192.0.2.7:1234": "192.0.2.7", "[2001:db8:1:2:3::9]:1234": "2001:db8:1:2::/64", "[fe80::1%eth0]:1": "fe80::/64", "pipe": "pipe",
		"[::ffff:192.0.2.7]:1": "::ffff:192.0.2.7",
	} {
		r.RemoteAddr = remote
		if got := addressOf(r); got != want {
			t.Errorf("addressOf(%q) = %q, want %q", remote, got, want)
		}
	}
}

func TestSentences(t *testing.T) {
	users := map[int64]string{7: "ada@example.com"}
	destinations := map[int64]string{4: "crm"}
	for _, c := range []struct{ kind, data, want string }{
		{"received", `{"source":"form","intake":1,"filled":{"phone":{},"email":{},"name":{}}}`, "First heard of through form, with e-mail, phone and name."},
		{"received", `{"source":"form","intake":1,"filled":{}}`, "First heard of through form, with nothing new."},
		{"absorbed", `{"source":"file","by":"phone","filled":{"email":{}},"kept":{"name":{}}}`,
			"Heard of again through file, known by the same phone, with e-mail. What we had stands for name."},
		{"phone_shared", `{"lead":3}`, "Has the telephone number of lead 3, who is somebody else."},
		{"scored", `{"score":65}`, "Scored 65 of 100."},
		{"assigned", `{"user_id":7,"reason":"it is her turn."}`, "Given to ada@example.com: it is her turn."},
		{"assigned", `{"user_id":8}`, "Given to user 8: no reason given."},
		{"unassigned", `{"reason":"nobody is there"}`, "Given to nobody: nobody is there."},
		{"delivery_planned", `{"delivery":4}`, "To be delivered to crm."},
		{"delivered", `{"delivery":4,"try":2,"status":204}`, "Delivered to crm at try 2; it answered 204."},
		{"delivery_retry", `{"delivery":5,"try":1,"next_at":"2026-01-02T03:04:05Z"}`,
			"Try 1 to deliver to delivery 5 was not taken: no answer. It is called again at 2026-01-02 03:04:05."},
		{"delivery_uncertain", `{"delivery":4,"reason":"it may have been taken: no answer in time"}`,
			"Delivery to crm is uncertain: it may have been taken: no answer in time. A person finds out."},
		{"delivery_confirmed", `{"delivery":4}`, "Delivery to crm marked as delivered."},
		{"delivery_parked", `{"delivery":4,"reason":"gone"}`, "Delivery to crm given up: gone."},
		{"merged_by_hand", `[]`, "Merged by hand."},
	} {
		got := tell(schema.Event{Kind: c.kind, Actor: "job/9", Data: json.RawMessage(c.data)}, users, destinations)
		if got.Text != c.want || got.Job != 9 {
			t.Errorf("%s %s\n got %q\nwant %q", c.kind, c.data, got.Text, c.want)
		}
	}
	if by := tell(schema.Event{Kind: "scored", Actor: "user/7"}, users, nil).By; by != "ada@example.com" {
		t.Errorf("user/7 = %q", by)
	}
}
