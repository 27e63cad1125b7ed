-- +goose Up

-- The place in the bulk queue that the source's last chunk of rows was given, on the scale of river_job.scheduled_at; NULL: none
-- yet. Who takes the next place locks the row.
ALTER TABLE sources ADD COLUMN bulk_turn timestamptz;

-- Kept as they come: jsonb takes apart and sorts what is written, a fifth of what a lead costs the database, for questions that
-- nobody asks it. Operators like -> work on both. On a database that is in use this rewrites two tables, while work waits.
ALTER TABLE events ALTER COLUMN data TYPE json;
ALTER TABLE leads ALTER COLUMN fields TYPE json, ALTER COLUMN extra TYPE json, ALTER COLUMN parts TYPE json;

-- +goose Down
ALTER TABLE leads ALTER COLUMN fields TYPE jsonb, ALTER COLUMN extra TYPE jsonb, ALTER COLUMN parts TYPE jsonb;
ALTER TABLE events ALTER COLUMN data TYPE jsonb;
ALTER TABLE sources DROP COLUMN bulk_turn;
