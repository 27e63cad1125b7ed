// Package dbctx is the session scope: a transaction that is opened once, ended once, and whose connection always goes
// home.
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
// The function is the scope. There is no session to pass around, to close or to forget: code below finds it by the
// ctx, and what the function returns is how it ends. A request handler, a script and a job use it alike; the examples
// show each.
//
// # Ends
//
//   - nil commits. Run returns behind the commit, so answer a client then.
//   - An error, a panic, runtime.Goexit or a cancelled context rolls back. A panic goes on upwards with its stack.
//   - [Keep] commits and returns its error all the same.
//   - A scope in which a statement failed cannot commit, even if fn ignored the error. A statement that may fail
//     belongs into a nested scope. [ErrNoRows] is no failure.
//   - COMMIT and ROLLBACK have a limit of their own, 5 s: a context that has ended cannot cut them off.
//   - A wire lost during COMMIT leaves open whether it took place. A scope with [Once] asks for its key on another
//     connection, and Run tells the truth; without a key, or without an answer for 10 s, it is [ErrCommitUnknown].
//
// # Trips
//
// Nothing is taken from the pool before the first statement. BEGIN and the key of [Once] travel with it, COMMIT with
// the last writes: the scope above takes two round trips. There is no autocommit and no autoflush. [Tx.Queue] sends
// nothing; what is queued leaves in its order
//
//   - with the next Exec, Query or QueryRow of the same scope, which sees it,
//   - ahead of the first statement of a nested scope, together with its savepoint,
//   - at the end of a nested scope with a key of [Once],
//   - before [Tx.Pgx] or [Tx.SQL] lends the transaction to a library,
//   - at the latest with COMMIT. A rollback drops it.
//
// Reading in another scope sends none of it. A queued write that fails makes the trip fail that carried it, at the
// latest Run. One statement at a time: rows are read to the end or closed before the next.
//
// # Once
//
// The key is a row in table done_keys (key text primary key, at timestamp), which is yours to create, in the same
// transaction as the work. A crashed job that runs again, a stalled worker that wakes up late, a tick fired twice: the
// second one finds the key, ends with [ErrAlreadyDone] and changes nothing.
//
// # Nesting
//
// Run with the context of an open scope is a savepoint of it. Its error takes back its own writes, queued or sent, and
// its own hooks; the outer scope goes on. The savepoint leaves in a trip of its own in front of the first statement of
// the nested scope, so that whatever fails in it fails behind the savepoint; a nested scope that only queues has none.
// [Once] and [Keep] work there too; the other options belong to the outermost scope.
//
// # Options
//
// [ReadOnly] refuses writes. [Isolation] says how much is seen of what others commit meanwhile; from RepeatableRead on
// the database may end a scope in favour of another, and [Retry] runs it again, function and all. [Timeout] limits
// each statement, each wait for a lock and each pause between two statements, on PostgreSQL by the server itself; the
// limit of the whole is a deadline of ctx.
//
// # Mistakes that are caught
//
// A scope belongs to the goroutine that opened it, and ends with its function. Use by another goroutine is
// [ErrOtherGoroutine], use after the end [ErrTxDone], an HTTP call from inside, through [Transport], [ErrCallInScope]:
// each rolls the whole scope back. Run without the context of the scope that is open on its goroutine would wait for
// itself when no connection is free, and is [ErrScopeInScope]. A scope open for longer than Pool.WarnAfter is logged
// with the place that opened it.
//
// # Pool
//
// Scopes wait for a connection in turn, for Pool.Wait at most; Pool.Reserve connections stay free for [DB.Ping] and
// for asking after a lost commit. A connection is looked at before a scope gets it, and asked if it has rested for
// more than a second; a dead one is replaced unseen. One whose server has turned read-only in a failover is closed by
// the first scope that finds out. [DB.Stats] has the gauges of the pool and the scopes, Pool.Tracer a span for each
// outermost scope, Pool.Echo a line for each statement, without its arguments.
//
// # Databases
//
// PostgreSQL through pgx, SQLite through modernc.org/sqlite without cgo. Placeholders are $1, $2 on both; times are
// stored in UTC and microseconds on both. On SQLite a scope holds the one write lock from its first statement on, and
// the others wait for it in turn; [ReadOnly] scopes hold none. There is always one level of isolation, the highest,
// and sizes and lives of the pool mean nothing.
//
// # Coming from SQLAlchemy
//
//	create_engine(url, pool_size=20,           Open(ctx, url, Pool{})
//	    max_overflow=40, pool_recycle=3600,
//	    pool_pre_ping=True)
//	pool_timeout=30, echo=True                 Pool{Wait: 30 * time.Second}, Pool{Echo: true, Logger: l}
//	engine.dispose()                           db.Close()
//	with Session.begin() as s:                 Run(ctx, db, func(ctx, tx) error { ... })
//	Depends(get_db)                            Run(r.Context(), db, ...) in the handler, the answer behind it
//	autocommit=False, autoflush=False          always
//	s.commit(), s.rollback()                   return nil, return err
//	s.add(lead), s.execute(update(...))        tx.Queue(sql, args...); tx.Exec where the count matters
//	s.flush()                                  not needed: the next statement of the scope takes the queue along
//	s.execute(select(...)).first()             tx.QueryRow(ctx, sql, args...).Scan(&a, &b); none is ErrNoRows
//	s.scalars(select(...)).all()               All(ctx, tx, scan, sql, args...)
//	s.begin_nested()                           Run with the ctx of the scope
//	event "after_commit"                       tx.AfterCommit(fn)
//	isolation_level="SERIALIZABLE"             Isolation(Serializable), Retry(3)
//	postgresql_readonly=True                   ReadOnly()
//	connect_args={"options": "-c x=y"}         Pool{Settings: map[string]string{"x": "y"}}
//	options="-c statement_timeout=..."         Timeout(d), which limits locks and pauses as well
//	join_transaction_mode="create_savepoint"   Bind(ctx, tx), for tests
//	except IntegrityError                      IsUniqueViolation(err)
//	except OperationalError                    IsUnavailable(err)
//	models, identity map, lazy loading         nothing: the SQL is yours, and rows are values
//
// From database/sql: Run is BeginTx, the deferred Rollback and the Commit in one, and a function that calls it joins
// the scope of its caller by the ctx. An error sticks until the end of the scope, on SQLite as it does on PostgreSQL.
//
// # Errors
//
// Every error that a caller can act on is a variable below, and its comment is the cure. Two questions sort the rest:
// [IsUnavailable], try later, and [IsUniqueViolation], it is there already.
package dbctx
