-- +goose Up

ALTER TABLE sources ADD COLUMN rate REAL NOT NULL DEFAULT 0 CHECK (rate >= 0); -- leads a second taken in by all processes; 0: no limit
ALTER TABLE sources ADD COLUMN burst INTEGER NOT NULL DEFAULT 0 CHECK (burst >= 0); -- leads at once; 0: what the rate gives in a second
ALTER TABLE sources ADD COLUMN per_day INTEGER NOT NULL DEFAULT 0 CHECK (per_day >= 0); -- leads in a day of UTC; 0: no limit
ALTER TABLE sources ADD COLUMN max_bytes INTEGER NOT NULL DEFAULT 0 CHECK (max_bytes >= 0); -- of one submission; 0: as many as we take
ALTER TABLE sources ADD COLUMN origins TEXT NOT NULL DEFAULT '[]'; -- of the pages on other sites that may send for it
ALTER TABLE sources ADD COLUMN redirects TEXT NOT NULL DEFAULT '[]'; -- origins and URLs that a form may lead to
ALTER TABLE sources ADD COLUMN form_id TEXT; -- its public address, POST /f/{form_id}; NULL none
ALTER TABLE sources ADD COLUMN form_secret TEXT NOT NULL DEFAULT ''; -- signs when a form was opened
ALTER TABLE sources ADD COLUMN honeypot TEXT NOT NULL DEFAULT '_gotcha'; -- the field that people do not see and leave empty
ALTER TABLE sources ADD COLUMN min_seconds INTEGER NOT NULL DEFAULT 2 CHECK (min_seconds >= 0); -- nobody fills in a form faster
CREATE UNIQUE INDEX sources_form ON sources (form_id) WHERE form_id IS NOT NULL;

-- What a source with a limit has sent, over all processes, by the database's clock. It is not in sources: that row would
-- change with every lead, and every intake refers to it.
CREATE TABLE source_meters (
    source_id   INTEGER PRIMARY KEY REFERENCES sources (id) ON DELETE CASCADE,
    taken_until INTEGER NOT NULL DEFAULT 0, -- what was taken has used the rate up to then, in microseconds since 1970
    day         INTEGER NOT NULL DEFAULT 0, -- of UTC, since 1970
    taken       INTEGER NOT NULL DEFAULT 0 -- on that day
);

ALTER TABLE source_keys ADD COLUMN expires_at TIMESTAMP; -- NULL: until it is revoked
ALTER TABLE source_keys ADD COLUMN used_at TIMESTAMP; -- to the minute; NULL never

-- The answers to batches that came with an idempotency key.
CREATE TABLE batches (
    source_id  INTEGER NOT NULL REFERENCES sources (id) ON DELETE CASCADE,
    key        TEXT NOT NULL,
    hash       TEXT NOT NULL, -- SHA-256 of the body, hex
    answer     TEXT NOT NULL DEFAULT '', -- '' in the scope that is making it
    created_at TIMESTAMP NOT NULL,
    PRIMARY KEY (source_id, key)
);
CREATE INDEX batches_created ON batches (created_at);

ALTER TABLE intakes ADD COLUMN suspicion TEXT NOT NULL DEFAULT ''; -- a code: the trap that it went into; '' none

-- +goose Down
ALTER TABLE intakes DROP COLUMN suspicion;
DROP TABLE batches;
DROP TABLE source_meters;
ALTER TABLE source_keys DROP COLUMN expires_at;
ALTER TABLE source_keys DROP COLUMN used_at;
DROP INDEX sources_form;
ALTER TABLE sources DROP COLUMN rate;
ALTER TABLE sources DROP COLUMN burst;
ALTER TABLE sources DROP COLUMN per_day;
ALTER TABLE sources DROP COLUMN max_bytes;
ALTER TABLE sources DROP COLUMN origins;
ALTER TABLE sources DROP COLUMN redirects;
ALTER TABLE sources DROP COLUMN form_id;
ALTER TABLE sources DROP COLUMN form_secret;
ALTER TABLE sources DROP COLUMN honeypot;
ALTER TABLE sources DROP COLUMN min_seconds;
