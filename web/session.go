package web

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"time"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/schema"
)

// sessionLife is how long a log-in lasts.
const sessionLife = 12 * time.Hour

// errLogin: nobody is logged in.
var errLogin = errors.New("not logged in")

// newToken makes a session's token and the hash that is stored of it. 32 random bytes cannot be guessed, so a plain
// hash is enough: who reads the table cannot log in with it.
func newToken() (token, hash string) {
	b := make([]byte, 32)
	rand.Read(b)
	token = base64.RawURLEncoding.EncodeToString(b)
	return token, hashToken(token)
}

func hashToken(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// cookie carries a token; with "" it removes the one there is. The prefix __Host- keeps other names of the domain
// from setting it.
func (s *Server) cookie(token string) *http.Cookie {
	c := &http.Cookie{
		Name: s.cookieName(), Value: token, Path: "/", MaxAge: int(sessionLife / time.Second),
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: s.config.Secure,
	}
	if token == "" {
		c.MaxAge = -1
	}
	return c
}

func (s *Server) cookieName() string {
	if s.config.Secure {
		return "__Host-leadmill"
	}
	return "leadmill"
}

// tokenOf is the hash of the token a request shows; "" if it shows none.
func (s *Server) tokenOf(r *http.Request) string {
	c, err := r.Cookie(s.cookieName())
	if err != nil || c.Value == "" {
		return ""
	}
	return hashToken(c.Value)
}

// dev is who uses a server without a log-in.
var dev = schema.User{Email: "dev", Name: "dev", Role: "admin", Active: true}

// userIn returns who is logged in, or errLogin.
func (s *Server) userIn(ctx context.Context, tx *dbctx.Tx, r *http.Request) (schema.User, error) {
	if s.config.Dev {
		return dev, nil
	}
	token := s.tokenOf(r)
	if token == "" {
		return schema.User{}, errLogin
	}
	u, err := schema.SessionUser(ctx, tx, token, s.now().UTC())
	if errors.Is(err, schema.ErrNotFound) {
		return u, errLogin
	}
	return u, err
}

// whoami is userIn in a scope of its own.
func (s *Server) whoami(r *http.Request) (u schema.User, err error) {
	err = dbctx.Run(r.Context(), s.db, func(ctx context.Context, tx *dbctx.Tx) error {
		u, err = s.userIn(ctx, tx, r)
		return err
	}, dbctx.ReadOnly())
	return u, err
}

// mayOperate says whether a user may change things. Viewers look.
func mayOperate(u schema.User) bool { return u.Role == "operator" || u.Role == "admin" }

// anyone may look.
func anyone(schema.User) bool { return true }
