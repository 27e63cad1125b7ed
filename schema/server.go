package schema

import (
	"context"
	"time"

	"github.com/leadmill/leadmill/dbctx"
)

// Server is what a database says of itself.
type Server struct {
	Version        string
	MaxConnections int       // 0: no limit of its own (SQLite)
	Clock          time.Time // its idea of now
}

// ServerInfo asks the database for its version, its limit of connections and its clock.
func ServerInfo(ctx context.Context, tx *dbctx.Tx) (s Server, err error) {
	if tx.Dialect() == dbctx.SQLite {
		err = tx.QueryRow(ctx, `SELECT 'SQLite ' || sqlite_version(), 0, strftime('%Y-%m-%d %H:%M:%f000+00:00', 'now')`).
			Scan(&s.Version, &s.MaxConnections, &s.Clock)
		return s, err
	}
	err = tx.QueryRow(ctx, `SELECT 'PostgreSQL ' || current_setting('server_version'),
		current_setting('max_connections')::integer, clock_timestamp()`).Scan(&s.Version, &s.MaxConnections, &s.Clock)
	return s, err
}

// TakesWrites says whether the server does: not one that follows another, nor one that was told to take none.
func TakesWrites(ctx context.Context, tx *dbctx.Tx) (takes bool, err error) {
	err = tx.QueryRow(ctx, takesWrites.on(tx)).Scan(&takes)
	return takes, err
}

var takesWrites = text{
	postgres: `SELECT NOT pg_is_in_recovery() AND current_setting('default_transaction_read_only') = 'off'`,
	sqlite:   `SELECT true`,
}

// BackendPID is the process id of PostgreSQL's end of this connection.
func BackendPID(ctx context.Context, tx *dbctx.Tx) (pid int, err error) {
	err = tx.QueryRow(ctx, `SELECT pg_backend_pid()`).Scan(&pid)
	return pid, err
}
