package schema

import "github.com/leadmill/leadmill/dbctx"

// QueueJob adds a job as River's own statement does; what is not named here has its default in the table. River's statement is
// made for many jobs, and costs a round trip and half a millisecond where there is one. PostgreSQL only.
func QueueJob(tx *dbctx.Tx, kind, queue, args string, attempts int) {
	tx.Queue(`INSERT INTO river_job (kind, queue, args, max_attempts) VALUES ($1, $2, $3::jsonb, $4)`, kind, queue, args, attempts)
}

// WakeWorkers tells workers that wait for jobs of a queue, as River does, once the scope commits. PostgreSQL only.
func WakeWorkers(tx *dbctx.Tx, queue string) {
	tx.Queue(`SELECT pg_notify(concat(current_schema(), '.river_insert'), jsonb_build_object('queue', $1::text)::text)`, queue)
}
