// Package weburl reads addresses of other sites: those whose pages may send leads, and those that a form may lead to.
//
// It takes what every browser reads in the same way, and nothing else: no user in front of the host, no backslash, no
// blank, no character beyond ASCII. What it gives is written anew from what it understood.
package weburl

import (
	"errors"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// Errors of addresses. They do not repeat the address.
var (
	ErrOrigin  = errors.New("want an origin such as https://shop.example: scheme, host and port, nothing behind them")
	ErrAddress = errors.New("want an address such as https://shop.example/thanks: plain ASCII, no user, no blanks")
)

// longest is the most characters of an address.
const longest = 2000

var plainHost = regexp.MustCompile(`^(([a-z0-9]([a-z0-9-]*[a-z0-9])?)(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*|\[[0-9a-f:.]+\])(:[0-9]{1,5})?$`)

// Origin reads an origin and writes it as browsers do in the header Origin: lower case, no default port.
func Origin(raw string) (string, error) {
	u, ok := parse(raw)
	if !ok || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return "", ErrOrigin
	}
	return origin(u), nil
}

// Address reads an origin, or a whole URL, to be listed as one that a form may lead to.
func Address(raw string) (string, error) {
	if o, err := Origin(raw); err == nil {
		return o, nil
	}
	u, ok := parse(raw)
	if !ok {
		return "", ErrAddress
	}
	return whole(u), nil
}

// Target reads where a form wants to lead to. It is ok if the list holds the URL, or its origin.
func Target(raw string, list []string) (target string, ok bool) {
	u, ok := parse(raw)
	if !ok {
		return "", false
	}
	target = whole(u)
	return target, slices.Contains(list, target) || slices.Contains(list, origin(u))
}

func parse(raw string) (*url.URL, bool) {
	odd := func(c rune) bool { return c <= ' ' || c > '~' || strings.ContainsRune("\\\"<>^`{|}", c) }
	if len(raw) > longest || strings.ContainsFunc(raw, odd) {
		return nil, false
	}
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Opaque != "" || u.User != nil {
		return nil, false
	}
	u.Host = strings.ToLower(u.Host)
	return u, plainHost.MatchString(u.Host)
}

func origin(u *url.URL) string {
	host := u.Host
	switch {
	case u.Scheme == "https":
		host = strings.TrimSuffix(host, ":443")
	case u.Scheme == "http":
		host = strings.TrimSuffix(host, ":80")
	}
	return u.Scheme + "://" + host
}

func whole(u *url.URL) string {
	path := u.EscapedPath()
	if path == "" {
		path = "/"
	}
	text := origin(u) + path
	if u.RawQuery != "" || u.ForceQuery {
		text += "?" + u.RawQuery
	}
	if u.Fragment != "" {
		text += "#" + u.EscapedFragment()
	}
	return text
}
