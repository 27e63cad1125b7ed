-- +goose Up

-- SQLite cannot change a CHECK, and intakes refer to this table: another column takes the place of the old one.
ALTER TABLE imports ADD COLUMN stage TEXT NOT NULL DEFAULT 'waiting'
    CHECK (stage IN ('uploading', 'ready', 'waiting', 'reading', 'paused', 'cancelled', 'done', 'failed', 'reverting', 'reverted'));
UPDATE imports SET stage = state;
ALTER TABLE imports DROP COLUMN state;
ALTER TABLE imports RENAME COLUMN stage TO state;
ALTER TABLE imports ADD COLUMN size INTEGER NOT NULL DEFAULT 0; -- bytes of the file
ALTER TABLE imports ADD COLUMN bytes_read INTEGER NOT NULL DEFAULT 0; -- of a CSV file, with the cursor: how far it is
ALTER TABLE imports ADD COLUMN total INTEGER NOT NULL DEFAULT -1; -- rows of the file; -1 not known
ALTER TABLE imports ADD COLUMN options TEXT NOT NULL DEFAULT '{}'; -- what a person has ordered about its format
ALTER TABLE imports ADD COLUMN format TEXT NOT NULL DEFAULT '{}'; -- what was recognised
ALTER TABLE imports ADD COLUMN header TEXT NOT NULL DEFAULT '[]';
ALTER TABLE imports ADD COLUMN mapping TEXT NOT NULL DEFAULT '{}'; -- what columns mean, where their names do not say it
ALTER TABLE imports ADD COLUMN decided TEXT NOT NULL DEFAULT '{}'; -- the part of it that a person has decided
ALTER TABLE imports ADD COLUMN begun_at TIMESTAMP; -- when a person last let it go on
ALTER TABLE imports ADD COLUMN begun_rows INTEGER NOT NULL DEFAULT 0; -- rows that were stored then
ALTER TABLE imports ADD COLUMN undone INTEGER NOT NULL DEFAULT 0; -- the cursor of a revert: rows undone so far

-- A file that failed, was cancelled or was reverted may come again: its hash makes room.
UPDATE imports SET hash = 'past/' || id WHERE state = 'failed';
UPDATE imports SET total = rows WHERE state = 'done';
UPDATE imports SET size = (SELECT coalesce(sum(length(bytes)), 0) FROM import_parts WHERE import_id = imports.id);

-- One row for each 500 rows of a file, stored with them. A verdict is counted in the transaction that gives it, so what an
-- import came to is a short sum.
CREATE TABLE import_chunks (
    import_id   INTEGER NOT NULL REFERENCES imports (id) ON DELETE CASCADE,
    first_row   INTEGER NOT NULL,
    rows        INTEGER NOT NULL,
    accepted    INTEGER NOT NULL DEFAULT 0,
    duplicate   INTEGER NOT NULL DEFAULT 0,
    rejected    INTEGER NOT NULL DEFAULT 0,
    quarantined INTEGER NOT NULL DEFAULT 0,
    done        BOOLEAN NOT NULL DEFAULT false, -- every row has its verdict
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
    source_id INTEGER NOT NULL REFERENCES sources (id) ON DELETE CASCADE,
    columns   TEXT NOT NULL, -- SHA-256 of their names, sorted, hex
    mapping   TEXT NOT NULL,
    used_at   TIMESTAMP NOT NULL,
    PRIMARY KEY (source_id, columns)
);

ALTER TABLE intakes ADD COLUMN reverted_at TIMESTAMP; -- its import was undone

-- Leads that a revert left alone, and why.
CREATE TABLE import_kept (
    import_id INTEGER NOT NULL REFERENCES imports (id) ON DELETE CASCADE,
    lead_id   INTEGER NOT NULL,
    reason    TEXT NOT NULL,
    PRIMARY KEY (import_id, lead_id)
);
-- The keys of a lead, to remove them with it.
CREATE INDEX lead_keys_lead ON lead_keys (lead_id);

-- +goose Down
DROP INDEX lead_keys_lead;
DROP TABLE import_kept;
DROP TABLE source_mappings;
DROP TABLE import_chunks;
ALTER TABLE intakes DROP COLUMN reverted_at;
DELETE FROM imports WHERE state = 'uploading'; -- the wider CHECK stays, it harms nobody
UPDATE imports SET state = 'failed' WHERE state NOT IN ('waiting', 'reading', 'done');
ALTER TABLE imports DROP COLUMN undone;
ALTER TABLE imports DROP COLUMN begun_rows;
ALTER TABLE imports DROP COLUMN begun_at;
ALTER TABLE imports DROP COLUMN decided;
ALTER TABLE imports DROP COLUMN mapping;
ALTER TABLE imports DROP COLUMN header;
ALTER TABLE imports DROP COLUMN format;
ALTER TABLE imports DROP COLUMN options;
ALTER TABLE imports DROP COLUMN total;
ALTER TABLE imports DROP COLUMN bytes_read;
ALTER TABLE imports DROP COLUMN size;
