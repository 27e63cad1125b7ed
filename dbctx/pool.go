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
	"go.opentelemetry.io/otel/trace"
)

// Pool says how connections are kept. The zero value is what SQLAlchemy users know as pool_size=20,
// max_overflow=40, pool_recycle=3600, pool_pre_ping=True.
type Pool struct {
	Size            int                  // PostgreSQL: connections kept open; 0 means 20
	MaxOverflow     int                  // PostgreSQL: more of them at the peak; 0 means 40, negative means none
	Recycle         time.Duration        // PostgreSQL: life of a connection, and up to a tenth more; 0 means an hour, negative for ever
	NoPrePing       bool                 // PostgreSQL: hand a connection out without looking whether it lives
	Reserve         int                  // PostgreSQL: connections of Size and MaxOverflow that no scope gets: for health checks and lost commits; 0 means 2, negative none
	Wait            time.Duration        // how long a scope waits for a connection, as pool_timeout; 0 means 30 s
	ConnectAttempts int                  // at the opening; 0 means 5
	ConnectDelay    time.Duration        // between them; 0 means 2 s
	StallAfter      time.Duration        // PostgreSQL: a scope that sends nothing for that long is ended by the server, with its locks: its process may have been stopped, or cut off; 0 means 20 s, negative never. Not behind a pooler
	Settings        map[string]string    // PostgreSQL: of every connection, such as {"work_mem": "64MB"}. Not behind a pooler
	WarnAfter       time.Duration        // a scope open for longer is logged with the place that opened it; 0 means 5 s, negative never
	Echo            bool                 // log every statement, without its arguments
	Durable         bool                 // SQLite: an acknowledged commit survives a power cut, at a third of the speed
	Logger          *slog.Logger         // nil means silence
	Tracer          trace.TracerProvider // OpenTelemetry's, for a span per scope; nil means none
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
	if p.Reserve == 0 {
		p.Reserve = 2
	}
	if p.Wait <= 0 {
		p.Wait = 30 * time.Second
	}
	if p.StallAfter == 0 {
		p.StallAfter = 20 * time.Second
	}
	if p.WarnAfter == 0 {
		p.WarnAfter = 5 * time.Second
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

// settings is what the server is told of every connection.
func (p Pool) settings() (s settings) {
	if p.StallAfter > 0 {
		s.set("idle_in_transaction_session_timeout", fmt.Sprintf("%dms", max(p.StallAfter.Milliseconds(), 1)))
	}
	for name, value := range p.Settings {
		s.set(name, value)
	}
	return s
}

// places is how many scopes may have a connection at once: at least one, whatever the reserve.
func (p Pool) places() int { return max(p.Size+p.MaxOverflow-max(p.Reserve, 0), 1) }

// Stats is how the pool does, and the scopes on it.
type Stats struct {
	Open  int           // connections that stand
	InUse int           // held by a scope
	Idle  int           // ready
	Max   int           // that may stand at once
	Waits int64         // scopes that had to wait for a connection, ever
	Wait  time.Duration // how long they waited, all together

	Scopes  int                          // open now, with a connection or not yet
	Oldest  time.Duration                // age of the one that has been open longest; 0 if none is
	Ended   int64                        // scopes that have ended, ever
	Length  time.Duration                // how long those were open, all together
	Lengths [len(LengthBounds) + 1]int64 // those by length: up to each of LengthBounds, and beyond
}

const (
	never          = 100 * 365 * 24 * time.Hour
	connectTimeout = 10 * time.Second
	pingTimeout    = 5 * time.Second
	idleLimit      = time.Minute // of connections beyond Size
	restLimit      = time.Second // a connection that was idle for longer is asked whether it lives
)

func openPostgres(ctx context.Context, url string, p Pool) (*pgEngine, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil { // its text may hold the password
		return nil, fmt.Errorf("%w: check its port and the parameters behind the question mark, such as sslmode; %s", ErrURL, accepted)
	}
	config.MinConns, config.MaxConns = int32(p.Size), int32(p.Size+p.MaxOverflow)
	config.MaxConnIdleTime = idleLimit
	config.MaxConnLifetime, config.MaxConnLifetimeJitter = p.Recycle, p.Recycle/10
	config.PingTimeout = pingTimeout
	e := &pgEngine{endLimit: endLimit, echo: newEcho(p)}
	e.settings = p.settings()
	config.ShouldPing = e.isDead
	if p.NoPrePing {
		config.ShouldPing = func(context.Context, pgxpool.ShouldPingParams) bool { return false }
	}
	config.ConnConfig.ConnectTimeout = connectTimeout
	config.BeforeConnect, config.AfterConnect = e.adapt, e.meet
	config.ConnConfig.OnPgError = closeReadOnly(config.ConnConfig.OnPgError)
	if e.pool, err = pgxpool.NewWithConfig(context.WithoutCancel(ctx), config); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrURL, err)
	}
	return e, nil
}

// isDead looks at a connection before a scope gets it, and closes one that is no more; the pool then takes the next.
//
// To ask the server costs a trip. A server that has closed the connection has told so already, which costs a glance; so it is
// asked only what may have died without a word, behind a firewall that forgot it: a connection that has rested. If such a
// one does not answer, the others have rested as long and would take as long to find out: all are replaced.
func (e *pgEngine) isDead(ctx context.Context, p pgxpool.ShouldPingParams) bool {
	switch glance(p.Conn.PgConn().Conn()) {
	case gone:
		closeNow(p.Conn)
		return true
	case quiet:
		if p.IdleDuration < restLimit {
			return false
		}
	}
	limited, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	if p.Conn.Ping(limited) == nil {
		return false
	}
	_ = p.Conn.PgConn().Conn().Close() // the pool would keep its place for a good-bye of 15 s
	closeNow(p.Conn)
	if ctx.Err() == nil {
		e.pool.Reset()
	}
	return true
}

// closeNow closes a connection without much of a good-bye.
func closeNow(c *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = c.Close(ctx)
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
