// Package dbctx is the session scope: a transaction that is opened once, ended once, and whose connection always
// goes home.
//
//	db, err := dbctx.Open(ctx, "postgresql://app@db/leads", dbctx.Pool{}) // or sqlite:///./leads.db
//	...
//	err = dbctx.Run(ctx, db, func(ctx context.Context, tx *dbctx.Tx) error {
//		var score int
//		if err := tx.QueryRow(ctx, `SELECT score FROM leads WHERE id = $1`, id).Scan(&score); err != nil {
//			return err
//		}
//		tx.Queue(`UPDATE leads SET score = $2 WHERE id = $1`, id, score+1)
//		return nil
//	}, dbctx.Once("job/42"))
//
// # Ends
//
// nil commits. An error, a panic, runtime.Goexit or a cancelled context rolls back. A panic goes on upwards with its
// stack. A scope in which a statement failed cannot commit, even if fn ignored the error. COMMIT and ROLLBACK have a
// limit of their own, 5 s, so a context that has ended cannot cut them off; a wire lost during COMMIT is
// [ErrCommitUnknown], and only then.
//
// # Trips
//
// Nothing is taken from the pool before the first statement, and BEGIN and the key of [Once] travel with it.
// [Tx.Queue] defers a write to the next trip; COMMIT travels with the last ones. The scope above takes two round
// trips. There is no autocommit, and nothing is flushed behind your back: what is queued leaves when a
// statement on the same Tx needs an answer, or at the end.
//
// One statement at a time: rows are read to the end or closed before the next.
//
// # Once
//
// The key is a row in table done_keys (key text primary key, at timestamp) in the same transaction as the work. A crashed
// job that runs again, a stalled worker that wakes up late, a tick fired twice: the second one finds the key, ends
// with [ErrAlreadyDone] and changes nothing.
//
// # Nesting
//
// Run with the context of an open scope is a savepoint of it. Its error takes back its own writes, queued or sent,
// and its own hooks; the outer scope goes on. The savepoint leaves in a trip of its own in front of the first statement
// of the nested scope, so that whatever fails in it fails behind the savepoint; a nested scope that only queues
// has none.
//
// # Databases
//
// PostgreSQL through pgx, SQLite through modernc.org/sqlite without cgo. Placeholders are $1, $2 on both; times are stored in
// UTC and microseconds on both. On SQLite a scope holds the one write lock from its first statement on, and the others
// wait for it in turn; [ReadOnly] scopes hold none. A scope opened inside another without its context waits for
// itself there: pass the context on.
package dbctx
