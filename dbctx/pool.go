package dbctx

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Pool says how connections are kept. The zero value is what SQLAlchemy users know as pool_size=20,
// max_overflow=40, pool_recycle=3600, pool_pre_ping=True.
type Pool struct {
	Size            int           // PostgreSQL: connections kept open; 0 means 20
	MaxOverflow     int           // PostgreSQL: more of them at the peak; 0 means 40, negative means none
	Recycle         time.Duration // PostgreSQL: life of a connection, and up to a tenth more; 0 means an hour, negative for ever
	NoPrePing       bool          // PostgreSQL: hand a connection out without asking whether it lives
	ConnectAttempts int           // at the opening; 0 means 5
	ConnectDelay    time.Duration // between them; 0 means 2 s
	Echo            bool          // log every statement, without its arguments
	Durable         bool          // SQLite: an acknowledged commit survives a power cut, at a third of the speed
	Logger          *slog.Logger  // nil means silence
}

func (p Pool) withDefaults() Pool {
	if p.Size <= 0 {
		p.Size = 20
	}
	if p.MaxOverflow == 0 {
		p.MaxOverflow = 40
	}
	p.MaxOverflow = max(p.MaxOverflow, 0)
	switch {
	case p.Recycle == 0:
		p.Recycle = time.Hour
	case p.Recycle < 0:
		p.Recycle = never
	}
	if p.ConnectAttempts <= 0 {
		p.ConnectAttempts = 5
	}
	if p.ConnectDelay <= 0 {
		p.ConnectDelay = 2 * time.Second
	}
	if p.Logger == nil {
		p.Logger = slog.New(slog.DiscardHandler)
	}
	return p
}

// Stats is how the pool does.
type Stats struct {
	Open     int           // connections that stand
	InUse    int           // held by a scope
	Idle     int           // ready
	Max      int           // that may stand at once
	Waits    int64         // scopes that had to wait for a connection, ever
	WaitTime time.Duration // how long they waited, all together
}

const (
	never          = 100 * 365 * 24 * time.Hour
	connectTimeout = 10 * time.Second
	pingTimeout    = 5 * time.Second
	idleTimeout    = time.Minute // of connections beyond Size
)

func openPostgres(ctx context.Context, url string, p Pool) (*pgEngine, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil { // its text may hold the password
		return nil, fmt.Errorf("%w: check its port and the parameters behind the question mark, such as sslmode; %s", ErrURL, accepted)
	}
	config.MinConns, config.MaxConns = int32(p.Size), int32(p.Size+p.MaxOverflow)
	config.MaxConnIdleTime = idleTimeout
	config.MaxConnLifetime, config.MaxConnLifetimeJitter = p.Recycle, p.Recycle/10
	config.PingTimeout = pingTimeout
	config.ShouldPing = func(context.Context, pgxpool.ShouldPingParams) bool { return !p.NoPrePing }
	config.ConnConfig.ConnectTimeout = connectTimeout
	config.AfterConnect = inUTC
	config.ConnConfig.OnPgError = closeReadOnly(config.ConnConfig.OnPgError)
	pool, err := pgxpool.NewWithConfig(context.WithoutCancel(ctx), config)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrURL, err)
	}
	return &pgEngine{pool: pool, wait: acquireLimit, echo: newEcho(p)}, nil
}

// closeReadOnly ends a connection whose server takes no writes: a failover has left it on the wrong side. next knows
// the other errors that end one.
func closeReadOnly(next pgconn.PgErrorHandler) pgconn.PgErrorHandler {
	return func(c *pgconn.PgConn, err *pgconn.PgError) bool { return err.Code != "25006" && next(c, err) }
}

// inUTC lets times come back in UTC, as they were written, instead of the zone of this machine.
func inUTC(_ context.Context, c *pgx.Conn) error {
	c.TypeMap().RegisterType(&pgtype.Type{
		Name: "timestamptz", OID: pgtype.TimestamptzOID, Codec: &pgtype.TimestamptzCodec{ScanLocation: time.UTC},
	})
	return nil
}
