package dbctx

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"
)

// Dialect is the kind of a database.
type Dialect string

// The two kinds there are.
const (
	Postgres Dialect = "postgres"
	SQLite   Dialect = "sqlite"
)

// DB is a database and the pool of connections that the whole process shares. Any goroutine may use it.
type DB struct {
	target   target
	engine   engine
	writers  *gate
	readers  *gate // the same on PostgreSQL
	vital    *gate // for one that does not wait behind the others; nil on SQLite
	wait     time.Duration
	scopes   scopes
	spans    spans
	endLimit time.Duration
	log      *slog.Logger
	config   *pgx.ConnConfig // nil on SQLite
	dsn      string          // "" on PostgreSQL
}

// engine is what the two kinds of database do differently.
type engine interface {
	// acquire takes a connection. Scopes pass the gate first.
	acquire(ctx context.Context, o options) (conn, error)
	// isOverdue says whether an error means that a limit of Timeout was reached.
	isOverdue(err error) bool
	ping(ctx context.Context) error
	stats() Stats
	close()
}

// Open connects to the database that the URL names:
//
//	sqlite:///./leads.db   sqlite:////var/lib/leads.db
//	postgresql://   postgres://   postgresql+psycopg2://user:password@host:5432/database
//
// A server that is away or still starting is tried again, as often as the pool says. A mistake in the URL is ErrURL;
// a server or a file that does not let us in is ErrUnreachable, at once, with a sentence that says what to mend. No
// error holds the password.
func Open(ctx context.Context, url string, pool Pool) (*DB, error) {
	pool = pool.withDefaults()
	to, err := parseURL(url)
	if err != nil {
		return nil, err
	}
	db := &DB{target: to, log: pool.Logger, wait: pool.Wait, endLimit: endLimit, spans: newSpans(pool.Tracer, to.dialect)}
	db.scopes.log, db.scopes.limit = pool.Logger, pool.WarnAfter
	if err := db.connect(ctx, pool); err != nil {
		return nil, err
	}
	if err := db.await(ctx, pool); err != nil {
		db.Close()
		return nil, err
	}
	return db, nil
}

func (db *DB) connect(ctx context.Context, pool Pool) error {
	if db.target.dialect == SQLite {
		e, err := openLite(ctx, db.target.path, pool)
		if err != nil {
			return db.unreachable(err)
		}
		db.engine, db.dsn = e, liteDSN(db.target.path, pool.Durable)
		db.writers, db.readers = newGate(1, pool.Wait), newGate(liteReaders, pool.Wait)
		return nil
	}
	e, err := openPostgres(ctx, db.target.url, pool)
	if err != nil {
		return err
	}
	db.engine, db.config = e, e.pool.Config().ConnConfig
	db.writers = newGate(pool.places(), pool.Wait)
	db.readers = db.writers
	db.vital = newGate(1, pool.Wait)
	return nil
}

// await tries until the server answers. What waiting does not mend ends it at once.
func (db *DB) await(ctx context.Context, pool Pool) error {
	for attempt := 1; ; attempt++ {
		err := db.Ping(ctx)
		if err == nil {
			return nil
		}
		if errors.Is(err, errPooler) { // the next connection knows
			continue
		}
		if attempt == pool.ConnectAttempts || !mendsItself(err) {
			return err
		}
		db.log.WarnContext(ctx, "the database does not answer yet", "attempt", attempt, "of", pool.ConnectAttempts, "next_in", pool.ConnectDelay)
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", err, ctx.Err())
		case <-time.After(pool.ConnectDelay):
		}
	}
}

// refusals are answers of a server that no waiting changes, and their cure.
var refusals = map[string]string{
	"28P01": "it refuses the user name or the password; check both in DATABASE_URL",
	"28000": "it does not let this user in from here; check the user in DATABASE_URL and pg_hba.conf",
	"3D000": "it has no database of that name; create it with createdb, or name another in DATABASE_URL",
	"42501": "this user may not connect to that database; GRANT CONNECT",
}

// unreachable says why there is no connection, and what mends it. The texts of pgx name user, host and database, and
// never the password.
func (db *DB) unreachable(err error) error {
	if db.target.dialect == SQLite {
		return db.noFile(err)
	}
	var pg *pgconn.PgError
	var dns *net.DNSError
	var network *net.OpError
	var connect *pgconn.ConnectError
	switch {
	case errors.As(err, &pg) && refusals[pg.Code] != "":
		return &refused{fmt.Errorf("%w at %s: %s", ErrUnreachable, db, refusals[pg.Code])}
	case errors.As(err, &pg):
		return fmt.Errorf("%w at %s: %s (SQLSTATE %s)", ErrUnreachable, db, pg.Message, pg.Code)
	case errors.As(err, &dns):
		return fmt.Errorf("%w at %s: the name of its host is not known; check it in DATABASE_URL", ErrUnreachable, db)
	case errors.As(err, &network):
		return fmt.Errorf("%w at %s: nothing answers there; start it, or check host and port in DATABASE_URL", ErrUnreachable, db)
	case errors.As(err, &connect):
		return fmt.Errorf("%w at %s: %w", ErrUnreachable, db, errors.Unwrap(connect))
	}
	return fmt.Errorf("%w at %s: %w", ErrUnreachable, db, err)
}

// noFile is unreachable for SQLite. Only a lock that another process holds goes away by itself.
func (db *DB) noFile(err error) error {
	var lite *sqlite.Error
	wrapped := fmt.Errorf("%w: %s: %w", ErrUnreachable, db, err)
	switch {
	case !errors.As(err, &lite):
	case lite.Code()&0xff == lib.SQLITE_BUSY:
		return wrapped
	case lite.Code()&0xff == lib.SQLITE_CORRUPT, lite.Code()&0xff == lib.SQLITE_NOTADB:
		wrapped = fmt.Errorf("%w; it was left as it is: restore it from a backup, or save what can be read with sqlite3 %s .recover", wrapped, db.target.path)
	}
	return &refused{wrapped}
}

// refused is a refusal for good.
type refused struct{ error }

// Unwrap gives ErrUnreachable.
func (r *refused) Unwrap() error { return r.error }

func mendsItself(err error) bool {
	var r *refused
	return !errors.As(err, &r)
}

// Close gives all connections back. Scopes should have ended: on PostgreSQL those that have not are waited for, on SQLite
// they fail with their next statement or end as they like.
func (db *DB) Close() {
	db.engine.close()
	db.scopes.close()
}

func (db *DB) gate(o options) *gate {
	switch {
	case o.vital && db.vital != nil:
		return db.vital
	case o.readOnly:
		return db.readers
	}
	return db.writers
}

// noConn says why a connection that there is a place for cannot be had.
func (db *DB) noConn(ctx context.Context, err error) error {
	var lost *pgconn.ConnectError
	if errors.As(err, &lost) && ctx.Err() == nil {
		return db.unreachable(err)
	}
	return err
}

// Dialect says which kind of database it is.
func (db *DB) Dialect() Dialect { return db.target.dialect }

// String is the URL without the password and the parameters.
func (db *DB) String() string { return db.target.shown }

// Ping asks the database for a sign of life, for 15 s at most. ErrUnreachable if there is none.
func (db *DB) Ping(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, connectTimeout+pingTimeout)
	defer cancel()
	if err := db.engine.ping(limited); err != nil {
		return db.unreachable(err)
	}
	return nil
}

// Stats says how the pool does, and the scopes on it.
func (db *DB) Stats() Stats {
	s, pool := db.scopes.stats(), db.engine.stats()
	s.Open, s.InUse, s.Idle, s.Max, s.Waits, s.Wait = pool.Open, pool.InUse, pool.Idle, pool.Max, pool.Waits, pool.Wait
	gates := []*gate{db.writers}
	if db.readers != db.writers {
		gates = append(gates, db.readers)
	}
	for _, g := range gates {
		s.Waits += g.waits.Load()
		s.Wait += time.Duration(g.waited.Load())
	}
	return s
}

// PgxConfig is a copy of the settings of a connection, for libraries with connections of their own; nil on SQLite.
func (db *DB) PgxConfig() *pgx.ConnConfig {
	e, ok := db.engine.(*pgEngine)
	if !ok {
		return nil
	}
	c := db.config.Copy()
	_ = e.adapt(context.Background(), c) // it does not fail
	return c
}

// SQLiteDSN opens the same file with modernc.org/sqlite; "" on PostgreSQL.
func (db *DB) SQLiteDSN() string { return db.dsn }

// SQLitePath is the file; "" on PostgreSQL.
func (db *DB) SQLitePath() string { return db.target.path }

// OpenSQL opens a handle of database/sql of its own, for tools such as migrations. The caller closes it.
func (db *DB) OpenSQL() (*sql.DB, error) {
	if db.config == nil {
		return sql.Open("sqlite", db.dsn)
	}
	return stdlib.OpenDB(*db.PgxConfig()), nil
}

// Exclusive runs fn while no other process runs it under the same name. The lock has a connection of its own: on one of the
// pool it could wait for itself. Behind a pooler it has a transaction, since nothing else keeps its connection. On SQLite fn
// just runs.
func (db *DB) Exclusive(ctx context.Context, name string, fn func(ctx context.Context) error) error {
	if db.config == nil {
		return fn(ctx)
	}
	c, err := pgx.ConnectConfig(ctx, db.PgxConfig())
	if err != nil {
		return db.unreachable(err)
	}
	defer func() {
		ctx, cancel := db.ending(ctx)
		defer cancel()
		_ = c.Close(ctx) // and with it the lock
	}()
	lock := "SELECT pg_advisory_lock(hashtextextended($1, 0))"
	if db.Pooled() {
		lock = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))"
		if _, err := c.Exec(ctx, "BEGIN"); err != nil {
			return fmt.Errorf("lock %s: %w", name, err)
		}
	}
	if _, err := c.Exec(ctx, lock, name); err != nil {
		return fmt.Errorf("lock %s: %w", name, err)
	}
	return fn(ctx)
}
