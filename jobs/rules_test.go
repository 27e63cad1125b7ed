package jobs

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/leadmill/leadmill/schema"
)

// The vector that the libraries of Standard Webhooks in seven languages assert.
func TestTheSignatureIsThatOfStandardWebhooks(t *testing.T) {
	got, err := Sign("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", []byte(`{"test": 2432232314}`))
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; err != nil || got != want {
		t.Errorf("Sign = %q, %v; want %q", got, err, want)
	}
	for _, secret := range []string{"", "whsec_", "whsec_%%%"} {
		if _, err := Sign(secret, "id", "0", nil); err == nil {
			t.Errorf("Sign took the secret %q", secret)
		}
	}
}

func TestPrivateAddressesAreRefused(t *testing.T) {
	for address, want := range map[string]bool{
		"93.184.216.34:443": true, "[2606:2800:220:1:248:1893:25c8:1946]:443": true,
		"127.0.0.1:80": false, "[::1]:80": false, "10.1.2.3:80": false, "172.16.0.1:80": false, "192.168.1.1:80": false, "169.254.169.254:80": false,
		"100.64.0.1:80": false, "0.0.0.0:80": false, "[::]:80": false, "[fe80::1]:80": false, "[fd00::1]:80": false, "224.0.0.1:80": false,
		"[::ffff:127.0.0.1]:80": false, "[64:ff9b::7f00:1]:80": false, "[2002:7f00:1::]:80": false, "255.255.255.255:80": false, "nonsense": false,
	} {
		if got := refusePrivate("tcp", address, nil) == nil; got != want {
			t.Errorf("%s may be called: %v, want %v", address, got, want)
		}
	}
}

func TestRetryAfterIsSecondsOrADate(t *testing.T) {
	now := time.Date(2026, 3, 2, 9, 30, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "120": 2 * time.Minute, "-1": 0, "soon": 0, "Mon, 02 Mar 2026 10:30:00 GMT": time.Hour, "Mon, 02 Mar 2026 08:30:00 GMT": 0,
	} {
		if got := retryAfter(http.Header{"Retry-After": {value}}, now); got != want {
			t.Errorf("Retry-After %q = %s, want %s", value, got, want)
		}
	}
}

func TestADateToComeAgainIsByTheClockOfTheReceiver(t *testing.T) {
	h := http.Header{"Retry-After": {"Mon, 02 Mar 2026 10:30:00 GMT"}, "Date": {"Mon, 02 Mar 2026 10:00:00 GMT"}}
	if got, want := retryAfter(h, time.Date(2026, 3, 2, 9, 30, 0, 0, time.UTC)), 30*time.Minute; got != want {
		t.Errorf("again in %s, want %s", got, want)
	}
}

func TestCallsFollowTheStandardsSchedule(t *testing.T) {
	now := time.Now()
	tried := func(tries int, a answer) call {
		return call{delivery: schema.Delivery{Tries: tries}, destination: schema.Destination{Active: true}, answer: a}
	}
	total := time.Duration(0)
	for tries := 1; ; tries++ {
		wait := callAgain(tried(tries, answer{status: 500}), now)
		if wait == 0 {
			if tries != 10 || total < 75*time.Hour || total > 84*time.Hour {
				t.Errorf("given up after %d tries in %s, want 10 in about three days", tries, total)
			}
			break
		}
		if least := deliverySchedule[tries-1]; wait < least || wait > least+least/10 {
			t.Errorf("wait after try %d = %s, want %s and up to a tenth", tries, wait, least)
		}
		total += wait
	}
	for name, c := range map[string]struct {
		call call
		want time.Duration
	}{
		"taken":             {tried(1, answer{status: 204}), 0},
		"gone":              {tried(1, answer{status: 410}), 0},
		"asked for":         {tried(1, answer{status: 429, retryAfter: time.Hour}), time.Hour},
		"asked for a month": {tried(1, answer{status: 503, retryAfter: 720 * time.Hour}), longestWait},
		"stopped":           {call{delivery: schema.Delivery{Tries: 1}}, 0},
	} {
		if got := callAgain(c.call, now); got != c.want {
			t.Errorf("%s: again in %s, want %s", name, got, c.want)
		}
	}
}

func TestTicksFollowTheClockOfTheirZone(t *testing.T) {
	at := func(text string) time.Time {
		v, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for name, c := range map[string]struct {
		cron, zone, missed, next, now, want string
	}{
		"due":          {"17 3 * * *", "UTC", "once", "2026-03-02T03:17:00Z", "2026-03-02T03:17:30Z", "[03-02 03:17] 03-03 03:17"},
		"not yet":      {"17 3 * * *", "UTC", "once", "2026-03-02T03:17:00Z", "2026-03-02T03:16:59Z", "[] 03-02 03:17"},
		"missed, once": {"17 3 * * *", "UTC", "once", "2026-03-02T03:17:00Z", "2026-03-05T12:00:00Z", "[03-05 03:17] 03-06 03:17"},
		"missed, all":  {"17 3 * * *", "UTC", "all", "2026-03-02T03:17:00Z", "2026-03-04T12:00:00Z", "[03-02 03:17 03-03 03:17 03-04 03:17] 03-05 03:17"},
		"missed, skip": {"17 3 * * *", "UTC", "skip", "2026-03-02T03:17:00Z", "2026-03-04T12:00:00Z", "[] 03-05 03:17"},
		"late, skip":   {"17 3 * * *", "UTC", "skip", "2026-03-02T03:17:00Z", "2026-03-02T03:18:00Z", "[03-02 03:17] 03-03 03:17"},
		"summer time":  {"0 9 * * *", "Europe/Berlin", "all", "2026-03-28T08:00:00Z", "2026-03-30T12:00:00Z", "[03-28 08:00 03-29 07:00 03-30 07:00] 03-31 07:00"},
	} {
		next := at(c.next)
		ticks, after, err := ticksUntil(schema.Schedule{Cron: c.cron, Zone: c.zone, Missed: c.missed, NextAt: &next}, at(c.now))
		short := []string{}
		for _, tick := range ticks {
			short = append(short, tick.UTC().Format("01-02 15:04"))
		}
		if got := fmt.Sprint(short, " ", after.Format("01-02 15:04")); err != nil || got != c.want {
			t.Errorf("%s: %s, %v; want %s", name, got, err, c.want)
		}
	}
	next := at("2026-03-02T03:17:00Z")
	for _, s := range []schema.Schedule{{Cron: "every day", Zone: "UTC", NextAt: &next}, {Cron: "* * * * *", Zone: "Mars/Olympus", NextAt: &next}} {
		if _, _, err := ticksUntil(s, next); err == nil {
			t.Errorf("a schedule %q in %q was taken", s.Cron, s.Zone)
		}
	}
}

func TestTheQueueSaysAThingOnceInAWhile(t *testing.T) {
	var out bytes.Buffer
	log := quiet(slog.New(slog.NewTextHandler(&out, nil)))
	for range 5 {
		log.With("queue", "live").Error("away")
		log.Warn("slow")
		log.Info("a step")
	}
	if got := strings.Count(out.String(), "\n"); got != 2 || strings.Contains(out.String(), "a step") {
		t.Errorf("five times two warnings and a step were logged as\n%s\nwant each warning once and no step", &out)
	}
}
