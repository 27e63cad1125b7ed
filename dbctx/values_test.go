package dbctx

import (
	"context"
	"database/sql"
	"runtime"
	"testing"
	"time"
)

// The limit of a statement ends behind its rows. database/sql watches over both in a goroutine, and takes the limit for what
// ended the rows if that goroutine begins late: here it does, since all processors are taken until the limit has ended.
func TestALimitThatIsNotReachedEndsNoRows(t *testing.T) {
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	busy, stop := context.WithCancel(t.Context())
	t.Cleanup(stop)
	for range runtime.GOMAXPROCS(0) {
		go func() {
			for busy.Err() == nil {
				runtime.Gosched()
			}
		}()
	}
	for range 300 {
		limited, cancel := context.WithTimeout(t.Context(), time.Minute)
		found, err := db.QueryContext(limited, `SELECT 1 UNION ALL SELECT 2`)
		if err != nil || !found.Next() {
			t.Fatal(err)
		}
		rows := &liteRows{Rows: found, c: &liteConn{timeout: time.Minute}, limited: limited, done: func() {
			cancel()
			for range 10 {
				runtime.Gosched()
			}
		}}
		rows.Close()
		if err := rows.Err(); err != nil {
			t.Fatalf("rows that were closed in time: %v", err)
		}
	}
}
