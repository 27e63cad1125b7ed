package dbctx

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
)

// A pooler such as PgBouncer may stand between us and the server and give every transaction another connection. What
// belongs to a session, such as a prepared statement, is then not there any more with the next one.

// acquaintance is what is known of the way to the server, and what a server is told that it leads to.
type acquaintance struct {
	way      atomic.Int32
	settings settings
}

const (
	unknown = iota
	direct
	pooled
)

// errPooler ends a connection that was made before a pooler was found out.
var errPooler = errors.New("a pooler stands before the server")

// adapt does without prepared statements behind a pooler. PgBouncer knows them since 1.21 only.
func (a *acquaintance) adapt(_ context.Context, c *pgx.ConnConfig) error {
	if a.way.Load() == pooled && c.DefaultQueryExecMode == pgx.QueryExecModeCacheStatement {
		c.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	}
	return nil
}

// meet refuses a connection that would prepare statements through a pooler, and tells the server what holds for the others.
func (a *acquaintance) meet(ctx context.Context, c *pgx.Conn) error {
	if err := inUTC(ctx, c); err != nil {
		return err
	}
	if a.way.Load() == unknown {
		if err := a.ask(ctx, c); err != nil {
			return err
		}
	}
	if a.way.Load() == pooled && c.Config().DefaultQueryExecMode == pgx.QueryExecModeCacheStatement { // it was begun before that was known
		return errPooler
	}
	if a.way.Load() == direct && len(a.settings.names) > 0 {
		_, err := c.Exec(ctx, setSession, pgx.QueryExecModeExec, a.settings.names, a.settings.values)
		return err
	}
	return nil
}

// settings are PostgreSQL's, names and values side by side.
type settings struct{ names, values []string }

func (s *settings) set(name, value string) {
	s.names, s.values = append(s.names, name), append(s.values, value)
}

const setSession = `SELECT set_config(s.name, s.value, false) FROM unnest($1::text[], $2::text[]) AS s (name, value)`

// ask compares the process that greeted us with the one that answers: a pooler greets under a number of its own.
func (a *acquaintance) ask(ctx context.Context, c *pgx.Conn) error {
	var pid uint32
	if err := c.QueryRow(ctx, "SELECT pg_backend_pid()", pgx.QueryExecModeSimpleProtocol).Scan(&pid); err != nil {
		return err
	}
	if pid == c.PgConn().PID() {
		a.way.Store(direct)
	} else {
		a.way.Store(pooled)
	}
	return nil
}

// Pooled says that a pooler such as PgBouncer stands before the server. Statements are then not prepared, and nothing that
// belongs to a session can be relied on: LISTEN, session locks, SET.
func (db *DB) Pooled() bool {
	e, ok := db.engine.(*pgEngine)
	return ok && e.way.Load() == pooled
}
