-- +goose Up

ALTER TABLE destinations ADD COLUMN idempotent BOOLEAN NOT NULL DEFAULT true; -- it tells a repeat by its webhook-id
ALTER TABLE destinations ADD COLUMN rate REAL NOT NULL DEFAULT 0 CHECK (rate >= 0); -- calls a second of all processes; 0: no limit
ALTER TABLE destinations ADD COLUMN concurrency INTEGER NOT NULL DEFAULT 0 CHECK (concurrency >= 0); -- calls at once of all processes; 0: no limit
ALTER TABLE destinations ADD COLUMN called_until INTEGER NOT NULL DEFAULT 0; -- microseconds since 1970 by the database's clock: what was called has used the rate up to then
ALTER TABLE destinations ADD COLUMN line_until INTEGER NOT NULL DEFAULT 0; -- and up to then the rate is promised to those who wait

-- SQLite cannot change a CHECK: the table is made again. Nothing refers to it.
CREATE TABLE deliveries_0003 (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    lead_id        INTEGER NOT NULL,
    destination_id INTEGER NOT NULL REFERENCES destinations (id),
    intake_id      INTEGER NOT NULL, -- the submission that caused it
    event          TEXT NOT NULL,
    key            TEXT NOT NULL UNIQUE, -- sent as webhook-id, the same at every try
    state          TEXT NOT NULL CHECK (state IN ('pending', 'calling', 'retrying', 'done', 'parked', 'uncertain')),
    tries          INTEGER NOT NULL DEFAULT 0,
    last_status    INTEGER NOT NULL DEFAULT 0, -- 0: no answer
    last_answer    TEXT NOT NULL DEFAULT '',
    next_at        TIMESTAMP,
    job_id         INTEGER NOT NULL DEFAULT 0, -- the job that may work it; 0: the first that comes
    created_at     TIMESTAMP NOT NULL,
    updated_at     TIMESTAMP NOT NULL,
    place          INTEGER NOT NULL DEFAULT 0, -- in the line of the destination: not called before then, in microseconds since 1970; 0 none
    UNIQUE (lead_id, destination_id, intake_id)
);
INSERT INTO deliveries_0003 (id, lead_id, destination_id, intake_id, event, key, state, tries, last_status, last_answer, next_at,
        job_id, created_at, updated_at)
    SELECT id, lead_id, destination_id, intake_id, event, key, state, tries, last_status, last_answer, next_at,
        job_id, created_at, updated_at FROM deliveries;
DROP TABLE deliveries;
ALTER TABLE deliveries_0003 RENAME TO deliveries;
CREATE INDEX deliveries_state ON deliveries (state, id);
CREATE INDEX deliveries_created ON deliveries (created_at);

-- The open deliveries of a lead to a destination are made in order.
CREATE INDEX deliveries_open ON deliveries (lead_id, destination_id, id) WHERE state IN ('pending', 'calling', 'retrying');
-- How many calls a destination has now.
CREATE INDEX deliveries_calling ON deliveries (destination_id) WHERE state = 'calling';

-- +goose Down
DROP INDEX deliveries_open;
DROP INDEX deliveries_calling;
UPDATE deliveries SET state = 'parked' WHERE state = 'uncertain'; -- the wider CHECK stays, it harms nobody
ALTER TABLE deliveries DROP COLUMN place;
ALTER TABLE destinations DROP COLUMN line_until;
ALTER TABLE destinations DROP COLUMN called_until;
ALTER TABLE destinations DROP COLUMN concurrency;
ALTER TABLE destinations DROP COLUMN rate;
ALTER TABLE destinations DROP COLUMN idempotent;
