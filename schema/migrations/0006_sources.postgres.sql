-- +goose Up

ALTER TABLE sources
    ADD COLUMN rate        double precision NOT NULL DEFAULT 0 CHECK (rate >= 0), -- leads a second taken in by all processes; 0: no limit
    ADD COLUMN burst       integer NOT NULL DEFAULT 0 CHECK (burst >= 0), -- leads at once; 0: what the rate gives in a second
    ADD COLUMN per_day     integer NOT NULL DEFAULT 0 CHECK (per_day >= 0), -- leads in a day of UTC; 0: no limit
    ADD COLUMN max_bytes   integer NOT NULL DEFAULT 0 CHECK (max_bytes >= 0), -- of one submission; 0: as many as we take
    ADD COLUMN origins     jsonb NOT NULL DEFAULT '[]', -- of the pages on other sites that may send for it
    ADD COLUMN redirects   jsonb NOT NULL DEFAULT '[]', -- origins and URLs that a form may lead to
    ADD COLUMN form_id     text COLLATE "C", -- its public address, POST /f/{form_id}; NULL none
    ADD COLUMN form_secret text NOT NULL DEFAULT '', -- signs when a form was opened
    ADD COLUMN honeypot    text NOT NULL DEFAULT '_gotcha', -- the field that people do not see and leave empty
    ADD COLUMN min_seconds integer NOT NULL DEFAULT 2 CHECK (min_seconds >= 0); -- nobody fills in a form faster
CREATE UNIQUE INDEX sources_form ON sources (form_id) WHERE form_id IS NOT NULL;

-- What a source with a limit has sent, over all processes, by the database's clock. It is not in sources: that row would
-- change with every lead, and every intake refers to it.
CREATE TABLE source_meters (
    source_id   bigint PRIMARY KEY REFERENCES sources ON DELETE CASCADE,
    taken_until bigint NOT NULL DEFAULT 0, -- what was taken has used the rate up to then, in microseconds since 1970
    day         bigint NOT NULL DEFAULT 0, -- of UTC, since 1970
    taken       bigint NOT NULL DEFAULT 0 -- on that day
);

ALTER TABLE source_keys
    ADD COLUMN expires_at timestamptz, -- NULL: until it is revoked
    ADD COLUMN used_at    timestamptz; -- to the minute; NULL never

-- The answers to batches that came with an idempotency key.
CREATE TABLE batches (
    source_id  bigint NOT NULL REFERENCES sources ON DELETE CASCADE,
    key        text COLLATE "C" NOT NULL,
    hash       text NOT NULL, -- SHA-256 of the body, hex
    answer     text NOT NULL DEFAULT '', -- '' in the scope that is making it
    created_at timestamptz NOT NULL,
    PRIMARY KEY (source_id, key)
);
CREATE INDEX batches_created ON batches (created_at);

ALTER TABLE intakes ADD COLUMN suspicion text NOT NULL DEFAULT ''; -- a code: the trap that it went into; '' none

-- +goose Down
ALTER TABLE intakes DROP COLUMN suspicion;
DROP TABLE batches, source_meters;
ALTER TABLE source_keys DROP COLUMN expires_at, DROP COLUMN used_at;
DROP INDEX sources_form;
ALTER TABLE sources
    DROP COLUMN rate, DROP COLUMN burst, DROP COLUMN per_day, DROP COLUMN max_bytes, DROP COLUMN origins, DROP COLUMN redirects,
    DROP COLUMN form_id, DROP COLUMN form_secret, DROP COLUMN honeypot, DROP COLUMN min_seconds;
