package web

import (
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"
)

// isText says whether PostgreSQL can store it. No browser sends anything else.
func isText(s string) bool { return utf8.ValidString(s) && !strings.Contains(s, "\x00") }

func areTexts(v url.Values) bool {
	for name, values := range v {
		if !isText(name) {
			return false
		}
		for _, one := range values {
			if !isText(one) {
				return false
			}
		}
	}
	return true
}

// readable refuses an address that is no text.
func readable(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isText(r.URL.Path) || !areTexts(r.URL.Query()) {
			writeProblem(w, newProblem(http.StatusBadRequest, "the address holds a NUL, or bytes that are not UTF-8"))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// readForm parses a form of at most limit bytes, and refuses one that is no text.
func readForm(w http.ResponseWriter, r *http.Request, limit int64) bool {
	r.Body = http.MaxBytesReader(w, r.Body, limit)
	if err := r.ParseForm(); err != nil || !areTexts(r.PostForm) {
		http.Error(w, "The form cannot be read.", http.StatusBadRequest)
		return false
	}
	return true
}
