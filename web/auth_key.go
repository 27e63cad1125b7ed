package web

import (
	"context"
	"errors"
	"net/http"
	"path"
	"strings"

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

// keyOf returns the source whose key the request shows. It is looked up by its hash: how long that takes tells
// nothing about the key.
func keyOf(ctx context.Context, tx *dbctx.Tx, r *http.Request) (schema.Source, error) {
	scheme, key, found := strings.Cut(r.Header.Get("Authorization"), " ")
	if !found || !strings.EqualFold(scheme, "Bearer") || strings.TrimSpace(key) == "" {
		return schema.Source{}, errNoKey
	}
	s, err := schema.SourceByKeyHash(ctx, tx, jobs.HashKey(strings.TrimSpace(key)))
	if errors.Is(err, schema.ErrNotFound) {
		return s, errNoKey
	}
	return s, err
}

// callerIn returns who asks. A key decides, if there is one; else the log-in.
func (s *Server) callerIn(ctx context.Context, tx *dbctx.Tx, r *http.Request) (caller, error) {
	if r.Header.Get("Authorization") != "" {
		source, err := keyOf(ctx, tx, r)
		return caller{source: source}, err
	}
	_, err := s.userIn(ctx, tx, r)
	if errors.Is(err, errLogin) {
		return caller{}, errNoKey
	}
	return caller{person: true}, err
}
