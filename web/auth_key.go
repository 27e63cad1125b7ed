package web

import (
	"context"
	"errors"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/jobs"
	"github.com/leadmill/leadmill/schema"
)

// isRead says that a path belongs to a call that only reads.
func isRead(p string) bool {
	for _, pattern := range []string{"/api/v1/intakes/*", "/api/v1/leads/*", "/api/v1/leads/*/events"} {
		if ok, _ := path.Match(pattern, p); ok {
			return true
		}
	}
	return false
}

// caller is who asks the API: a source by its key, or a person by their log-in, who may see everything.
type caller struct {
	source schema.Source // zero for a person
	person bool
}

var errNoKey = newProblem(http.StatusUnauthorized, "want Authorization: Bearer and the key of a source")

// keyHashOf returns the hash of the key that a request shows. Keys are looked up by their hash: how long that takes
// tells nothing about the key.
func keyHashOf(r *http.Request) (string, error) {
	scheme, key, found := strings.Cut(r.Header.Get("Authorization"), " ")
	if !found || !strings.EqualFold(scheme, "Bearer") || strings.TrimSpace(key) == "" {
		return "", errNoKey
	}
	return jobs.HashKey(strings.TrimSpace(key)), nil
}

func sourceByKey(ctx context.Context, tx *dbctx.Tx, hash string, now time.Time) (schema.Source, schema.SourceKey, error) {
	source, key, err := schema.SourceByKeyHash(ctx, tx, hash, now.UTC())
	if errors.Is(err, schema.ErrNotFound) {
		err = errNoKey
	}
	return source, key, err
}

// callerIn returns who asks. A key decides, if there is one; else the log-in.
func (s *Server) callerIn(ctx context.Context, tx *dbctx.Tx, r *http.Request) (caller, error) {
	if r.Header.Get("Authorization") != "" {
		hash, err := keyHashOf(r)
		if err != nil {
			return caller{}, err
		}
		source, _, err := sourceByKey(ctx, tx, hash, s.now())
		return caller{source: source}, err
	}
	_, err := s.userIn(ctx, tx, r)
	if errors.Is(err, errLogin) {
		return caller{}, errNoKey
	}
	return caller{person: true}, err
}
