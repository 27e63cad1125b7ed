package jobs

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"riverqueue.com/riverui"

	"github.com/leadmill/leadmill/dbctx"
	"github.com/leadmill/leadmill/schema"
)

// riverEngine is a River client and the connections it lives on. T is the transaction its inserts join.
type riverEngine[T any] struct {
	*river.Client[T]
	driver riverdriver.Driver[T]
	begin  func(ctx context.Context, tx *dbctx.Tx) (T, error)
	stop   func() // closes the connections
	ctx    context.Context
	cancel context.CancelFunc
}

// openEngine connects River by itself. With a nil config there is no client, only migrations.
func openEngine(ctx context.Context, db *dbctx.DB, config *river.Config) (engine, error) {
	if db.Dialect() == dbctx.SQLite {
		return openSQLite(db, config)
	}
	return openPostgres(ctx, db, config)
}

// riverConns is enough for fetching, completing, leading and River UI. Its plans are generic because
// PostgreSQL would otherwise plan River's long statements anew at every call, and go by key because they are made while
// the queue is short.
const riverConns = 4

func openPostgres(ctx context.Context, db *dbctx.DB, config *river.Config) (engine, error) {
	pool, err := pgxpool.ParseConfig("")
	if err != nil {
		return nil, err
	}
	pool.ConnConfig = db.PgxConfig()
	if !db.Pooled() { // a pooler refuses settings that it does not know
		pool.ConnConfig.RuntimeParams["plan_cache_mode"] = "force_generic_plan"
		maps.Copy(pool.ConnConfig.RuntimeParams, schema.ByKey)
	}
	pool.MaxConns = riverConns
	p, err := pgxpool.NewWithConfig(ctx, pool)
	if err != nil {
		return nil, err
	}
	return newEngine[pgx.Tx](riverpgxv5.New(p), config, (*dbctx.Tx).Pgx, p.Close)
}

// openSQLite gives River one connection: with several it would meet its own locks.
func openSQLite(db *dbctx.DB, config *river.Config) (engine, error) {
	handle, err := sql.Open("sqlite", db.SQLiteDSN())
	if err != nil {
		return nil, err
	}
	handle.SetMaxOpenConns(1)
	return newEngine[*sql.Tx](riversqlite.New(handle), config, (*dbctx.Tx).SQL, func() { handle.Close() })
}

func newEngine[T any](driver riverdriver.Driver[T], config *river.Config, begin func(*dbctx.Tx, context.Context) (T, error), stop func()) (engine, error) {
	e := &riverEngine[T]{driver: driver, stop: stop}
	e.begin = func(ctx context.Context, tx *dbctx.Tx) (T, error) { return begin(tx, ctx) }
	e.ctx, e.cancel = context.WithCancel(context.Background())
	if config == nil {
		return e, nil
	}
	var err error
	if e.Client, err = river.NewClient(driver, config); err != nil {
		stop()
		return nil, fmt.Errorf("queue: %w", err)
	}
	return e, nil
}

func (e *riverEngine[T]) insert(ctx context.Context, tx *dbctx.Tx, jobs []river.InsertManyParams) error {
	joined, err := e.begin(ctx, tx)
	if err != nil {
		return err
	}
	_, err = e.InsertManyTx(ctx, joined, jobs)
	return err
}

// lane begins or ends to work a queue of which one job runs at a time.
func (e *riverEngine[T]) lane(ctx context.Context, name string, open bool) error {
	if open {
		return e.Queues().Add(name, queueConfig(1))
	}
	return e.Queues().Remove(ctx, name)
}

func (e *riverEngine[T]) ui(prefix string, logger *slog.Logger) (http.Handler, error) {
	h, err := riverui.NewHandler(&riverui.HandlerOpts{
		Endpoints:                riverui.NewEndpoints(e.Client, nil),
		JobListHideArgsByDefault: true,
		Logger:                   logger,
		Prefix:                   strings.TrimSuffix(prefix, "/"),
	})
	if err != nil {
		return nil, err
	}
	return h, h.Start(e.ctx)
}

func (e *riverEngine[T]) close() {
	e.cancel()
	e.stop()
}
