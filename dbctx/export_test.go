package dbctx

import (
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// RestLimit is how long a connection rests before its server is asked whether it lives.
const RestLimit = restLimit

// PoolConfig is how the pool of a PostgreSQL is set.
func PoolConfig(db *DB) *pgxpool.Config { return db.engine.(*pgEngine).pool.Config() }

// SetWait shortens the wait for a connection.
func SetWait(db *DB, wait time.Duration) {
	db.wait, db.writers.limit, db.readers.limit = wait, wait, wait
}

// SetEndLimit shortens the limit of COMMIT and ROLLBACK.
func SetEndLimit(db *DB, limit time.Duration) {
	db.endLimit = limit
	if e, ok := db.engine.(*pgEngine); ok {
		e.endLimit = limit
	}
}
