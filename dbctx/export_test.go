package dbctx

import "time"

// SetWait shortens the wait for a connection.
func SetWait(db *DB, wait time.Duration) {
	switch e := db.engine.(type) {
	case *pgEngine:
		e.wait = wait
	case *liteEngine:
		e.wait = wait
	}
}
