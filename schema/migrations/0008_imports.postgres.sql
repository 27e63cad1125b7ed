-- +goose Up

ALTER TABLE imports DROP CONSTRAINT imports_state_check;
ALTER TABLE imports
    ADD CONSTRAINT imports_state_check CHECK (state IN ('uploading', 'ready', 'waiting', 'reading', 'paused', 'cancelled',
        'done', 'failed', 'reverting', 'reverted')),
    ADD COLUMN size       bigint NOT NULL DEFAULT 0, -- bytes of the file
    ADD COLUMN bytes_read bigint NOT NULL DEFAULT 0, -- of a CSV file, with the cursor: how far it is
    ADD COLUMN total      bigint NOT NULL DEFAULT -1, -- rows of the file; -1 not known
    ADD COLUMN options    jsonb NOT NULL DEFAULT '{}', -- what a person has ordered about its format
    ADD COLUMN format     jsonb NOT NULL DEFAULT '{}', -- what was recognised
    ADD COLUMN header     jsonb NOT NULL DEFAULT '[]',
    ADD COLUMN mapping    jsonb NOT NULL DEFAULT '{}', -- what columns mean, where their names do not say it
    ADD COLUMN decided    jsonb NOT NULL DEFAULT '{}', -- the part of it that a person has decided
    ADD COLUMN begun_at   timestamptz, -- when a person last let it go on
    ADD COLUMN begun_rows bigint NOT NULL DEFAULT 0, -- rows that were stored then
    ADD COLUMN undone     bigint NOT NULL DEFAULT 0; -- the cursor of a revert: rows undone so far

-- A file that failed, was cancelled or was reverted may come again: its hash makes room.
UPDATE imports SET hash = 'past/' || id WHERE state = 'failed';
UPDATE imports SET total = rows WHERE state = 'done';
UPDATE imports SET size = (SELECT coalesce(sum(octet_length(bytes)), 0) FROM import_parts WHERE import_id = imports.id);

-- One row for each 500 rows of a file, stored with them. A verdict is counted in the transaction that gives it, so what an
-- import came to is a short sum.
CREATE TABLE import_chunks (
    import_id   bigint NOT NULL REFERENCES imports ON DELETE CASCADE,
    first_row   bigint NOT NULL,
    rows        integer NOT NULL,
    accepted    integer NOT NULL DEFAULT 0,
    duplicate   integer NOT NULL DEFAULT 0,
    rejected    integer NOT NULL DEFAULT 0,
    quarantined integer NOT NULL DEFAULT 0,
    done        boolean NOT NULL DEFAULT false, -- every row has its verdict
    PRIMARY KEY (import_id, first_row)
);
INSERT INTO import_chunks (import_id, first_row, rows, accepted, duplicate, rejected, quarantined, done)
    SELECT import_id, (row_no - 1) / 500 * 500 + 1, count(*), count(*) FILTER (WHERE status = 'accepted'),
        count(*) FILTER (WHERE status = 'duplicate'), count(*) FILTER (WHERE status = 'rejected'),
        count(*) FILTER (WHERE status = 'quarantined'), count(*) FILTER (WHERE status = 'pending') = 0
    FROM intakes WHERE import_id IS NOT NULL GROUP BY 1, 2;
-- How far a reader is ahead of those who process.
CREATE INDEX import_chunks_open ON import_chunks (import_id) WHERE NOT done;

-- What the columns of a file mean, as a person has decided it: the next file with the same columns from the same source is
-- read the same way.
CREATE TABLE source_mappings (
    source_id bigint NOT NULL REFERENCES sources ON DELETE CASCADE,
    columns   text COLLATE "C" NOT NULL, -- SHA-256 of their names, sorted, hex
    mapping   jsonb NOT NULL,
    used_at   timestamptz NOT NULL,
    PRIMARY KEY (source_id, columns)
);

ALTER TABLE intakes ADD COLUMN reverted_at timestamptz; -- its import was undone

-- Leads that a revert left alone, and why.
CREATE TABLE import_kept (
    import_id bigint NOT NULL REFERENCES imports ON DELETE CASCADE,
    lead_id   bigint NOT NULL,
    reason    text NOT NULL,
    PRIMARY KEY (import_id, lead_id)
);
-- The keys of a lead, to remove them with it.
CREATE INDEX lead_keys_lead ON lead_keys (lead_id);

-- +goose Down
DROP INDEX lead_keys_lead;
DROP TABLE import_kept, source_mappings, import_chunks;
ALTER TABLE intakes DROP COLUMN reverted_at;
DELETE FROM imports WHERE state = 'uploading';
UPDATE imports SET state = 'failed' WHERE state NOT IN ('waiting', 'reading', 'done');
ALTER TABLE imports DROP CONSTRAINT imports_state_check, DROP COLUMN size, DROP COLUMN bytes_read, DROP COLUMN total,
    DROP COLUMN options, DROP COLUMN format, DROP COLUMN header, DROP COLUMN mapping, DROP COLUMN decided,
    DROP COLUMN begun_at, DROP COLUMN begun_rows, DROP COLUMN undone;
ALTER TABLE imports ADD CONSTRAINT imports_state_check CHECK (state IN ('waiting', 'reading', 'done', 'failed'));
