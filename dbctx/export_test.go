package dbctx

import "time"

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
