package weburl_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/leadmill/leadmill/lead/weburl"
)

func TestAnOriginIsWrittenAsBrowsersDo(t *testing.T) {
	for raw, want := range map[string]string{
		"https://shop.example":          "https://shop.example",
		"HTTPS://Shop.Example:443/":     "https://shop.example",
		"http://127.0.0.1:8080":         "http://127.0.0.1:8080",
		"http://[::1]:80":               "http://[::1]",
		"https://xn--mller-kva.example": "https://xn--mller-kva.example",
	} {
		if got, err := weburl.Origin(raw); got != want || err != nil {
			t.Errorf("Origin(%q) = %q, %v, want %q", raw, got, err, want)
		}
	}
	for _, raw := range []string{"", "*", "null", "shop.example", "https://", "https://*.example", "https://shop.example/thanks", "https://a@shop.example",
		"https://shop.example?", "ftp://shop.example", "https://müller.example", "https://shop.example.", "https://shop.example:443:443"} {
		if got, err := weburl.Origin(raw); err == nil {
			t.Errorf("Origin(%q) = %q, want an error", raw, got)
		}
	}
}

var list = []string{"https://good.example", "https://shop.example/thanks?from=form"}

func TestAFormLeadsWhereTheListSays(t *testing.T) {
	for raw, want := range map[string]string{
		"https://good.example":                   "https://good.example/",
		"https://GOOD.example:443/a/b?c=d#e":     "https://good.example/a/b?c=d#e",
		"https://shop.example/thanks?from=form":  "https://shop.example/thanks?from=form",
		"https://good.example//evil.example/%2F": "https://good.example//evil.example/%2F",
	} {
		if got, ok := weburl.Target(raw, list); got != want || !ok {
			t.Errorf("Target(%q) = %q, %v, want %q", raw, got, ok, want)
		}
	}
}

// tricks are addresses that some reader takes for the good one and another for a bad one.
var tricks = []string{
	"", "/", "//evil.example", `\\evil.example`, `/\evil.example`, "https:/evil.example", "https:evil.example", "https:///evil.example",
	"https://good.example@evil.example", "https://good.example:x@evil.example", "https://good.example%40evil.example",
	"https://good.example.evil.example", "https://evil.example/https://good.example", "https://evil.example#https://good.example",
	"https://evil.example?https://good.example", `https://evil.example\@good.example`, `https://good.example\.evil.example`,
	"https://good.example\r\nSet-Cookie: a=b", "https://good.example/\r\nLocation: https://evil.example", "https://good.example/\x00",
	" https://good.example", "https://good.example ", "\thttps://good.example", "java\tscript:alert(1)", "javascript:alert(1)", "javascript://good.example/%0aalert(1)",
	"data:text/html,x", "vbscript:x", "file:///etc/passwd", "http://good.example", "ftp://good.example", "https://good.example:8443",
	"https://good.example。evil.example", "https://evil.example／good.example", "https://ɢood.example", "https://good.exam\u00adple", "https://good.example%2eevil.example",
	"https://good.example%00.evil.example", "https://[good.example]", "https://good.example:443@evil.example", "https://user:password@good.example",
	"https://shop.example/thanks", "https://shop.example/thanks?from=form#x", "https://shop.example/", "https://shop.example/thanks?from=form&to=evil",
	"//good.example", "good.example", "https://.good.example", "https://good.example.", "https://good..example",
}

func TestAFormLeadsNowhereElse(t *testing.T) {
	for _, raw := range tricks {
		if got, ok := weburl.Target(raw, list); ok {
			t.Errorf("Target(%q) = %q, want it refused", raw, got)
		}
	}
	if _, ok := weburl.Target("https://good.example", nil); ok {
		t.Error("without a list a form leads elsewhere")
	}
}

func FuzzTarget(f *testing.F) {
	for _, raw := range tricks {
		f.Add(raw)
	}
	f.Add("https://good.example/a?b#c")
	f.Fuzz(func(t *testing.T, raw string) {
		target, ok := weburl.Target(raw, list)
		if !ok {
			return
		}
		u, err := url.Parse(target)
		if err != nil || u.Scheme != "https" || u.Hostname() != "good.example" && target != list[1] || u.User != nil {
			t.Errorf("Target(%q) = %q, %v", raw, target, err)
		}
		if strings.ContainsFunc(target, func(c rune) bool { return c <= ' ' || c > '~' || c == '\\' }) {
			t.Errorf("Target(%q) = %q, which is no header", raw, target)
		}
		if again, ok := weburl.Target(target, list); again != target || !ok {
			t.Errorf("Target(%q) = %q, %v, want it as it is", target, again, ok)
		}
	})
}
