package contact

import (
	"net/url"
	"strings"
)

// Website reads the address of a site: the scheme may be missing, the host is lowered. What is not one is kept as it
// was typed, with a note.
func Website(raw string) (value, note string) {
	s, _ := cleanText(raw, false)
	s, _ = shorten(s, limits["website"])
	if s == "" {
		return "", ""
	}
	full := s
	if !strings.Contains(s, "://") {
		full = "https://" + s
	}
	u, err := url.Parse(full)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || !strings.Contains(u.Host, ".") || u.User != nil {
		return s, "not_a_website"
	}
	u.Host = strings.ToLower(u.Host)
	return u.String(), ""
}

// Consent reads yes or no; "" if it is neither.
func Consent(raw string) string {
	s, _ := cleanText(raw, false)
	switch strings.ToLower(s) {
	case "yes", "y", "true", "1", "on", "ja", "oui", "si", "sí", "x", "checked", "granted", "opt-in", "opted in":
		return "yes"
	case "no", "n", "false", "0", "off", "nein", "non", "denied", "opt-out", "opted out":
		return "no"
	}
	return ""
}
