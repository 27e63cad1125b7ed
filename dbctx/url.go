package dbctx

import (
	"fmt"
	"net/url"
	"strings"
)

// accepted are the forms of DATABASE_URL, for people who wrote another one.
const accepted = "want sqlite:///./leads.db, or postgresql://user:password@host:5432/database, also with postgres:// or postgresql+psycopg2:// in front"

// target is a parsed URL.
type target struct {
	dialect Dialect
	path    string // of the SQLite file
	url     string // for pgx, with the password
	shown   string // without it
}

// parseURL reads the forms that people have. A driver behind a plus sign, as SQLAlchemy wants it, is dropped.
func parseURL(raw string) (target, error) {
	scheme, rest, found := strings.Cut(raw, "://")
	if raw == "" {
		return target{}, fmt.Errorf("%w: it is empty; %s", ErrURL, accepted)
	}
	if !found || strings.Contains(scheme, "@") {
		return target{}, fmt.Errorf("%w: it has no scheme; %s", ErrURL, accepted)
	}
	engine, _, _ := strings.Cut(strings.ToLower(scheme), "+")
	switch engine {
	case "sqlite", "sqlite3":
		return parseLite(rest)
	case "postgresql", "postgres":
		return parsePostgres("postgresql://" + rest)
	}
	return target{}, fmt.Errorf("%w: the scheme %q is not known; %s", ErrURL, scheme, accepted)
}

// parseLite counts slashes as SQLAlchemy does: three and a relative path, or four for an absolute one.
func parseLite(rest string) (target, error) {
	path, ok := strings.CutPrefix(rest, "/")
	path, _, _ = strings.Cut(path, "?")
	switch {
	case !ok:
		return target{}, fmt.Errorf("%w: SQLite wants three slashes before a path, as in sqlite:///./leads.db", ErrURL)
	case path == "" || path == ":memory:":
		return target{}, fmt.Errorf("%w: a database in memory cannot be shared between jobs; name a file, as in sqlite:///./leads.db", ErrURL)
	}
	return target{dialect: SQLite, path: path, shown: "sqlite:///" + path}, nil
}

func parsePostgres(raw string) (target, error) {
	u, err := url.Parse(raw)
	if err != nil || u.User == nil && strings.Contains(u.RawQuery+u.Fragment, "@") { // the text of err may hold the password
		return target{}, fmt.Errorf("%w: a port is a number, and in user and password a special character is written as %%40 and the like; %s", ErrURL, accepted)
	}
	shown := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}
	if u.User != nil {
		shown.User = url.User(u.User.Username())
	}
	return target{dialect: Postgres, url: raw, shown: shown.String()}, nil
}
