package main

import (
	"crypto/rand"
	"strings"

	"github.com/leadmill/leadmill/jobs"
	"github.com/leadmill/leadmill/lead/hook"
	"github.com/leadmill/leadmill/schema"
)

// hookSecret is what a sender has made and gave us; "" what was not given.
type hookSecret struct{ secret, token string }

// hookGiven reads the secrets that are not made here: from stdin, else from the environment.
func (a *app) hookGiven(kind string, stdin bool) (given hookSecret, err error) {
	if kind == hook.Google && stdin {
		return given, usagef("the key of a google hook is made here: leave --secret-stdin out")
	}
	if stdin {
		lines, err := a.lines(2)
		return hookSecret{lines[0], lines[1]}, err
	}
	values, _, err := a.sources()
	switch kind {
	case hook.Meta:
		given = hookSecret{values["META_APP_SECRET"], values["META_ACCESS_TOKEN"]}
	case hook.Standard:
		given.secret = values["HOOK_SECRET"]
	}
	return given, err
}

// madeSecret is a secret that was made here, and what it is called.
type madeSecret struct{ name, value string } // name "" nothing was made

// furnishHook gives a hook its secrets: those that were given, and new ones where we make them.
func furnishHook(h *schema.Hook, given hookSecret) (made madeSecret, err error) {
	switch h.Kind {
	case hook.Google:
		made.name = "key"
		made.value, h.Secret = jobs.NewKey()
	case hook.Meta:
		made = madeSecret{"verify_token", rand.Text()}
		h.VerifyHash = jobs.HashKey(made.value)
		if given.secret != "" {
			h.Secret = given.secret
		}
		if given.token != "" {
			h.AccessToken = given.token
		}
		if !isHeader(h.AccessToken) {
			return made, usagef("the access token holds blanks or other signs that no token has")
		}
	case hook.Standard:
		if given.secret == "" {
			made = madeSecret{"secret", jobs.NewSecret()}
			h.Secret = made.value
			return made, nil
		}
		secret, err := hook.CheckSecret(given.secret)
		if err != nil {
			return made, usagef("the secret is not one: %w", err)
		}
		if secret == h.Secret {
			return made, usagef("the secret is the one that the hook has; without HOOK_SECRET a new one is made")
		}
		h.Secret = secret
	}
	return made, nil
}

func isHeader(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}
