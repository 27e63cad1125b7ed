-- +goose Up

-- The place in the bulk queue that the source's last chunk of rows was given, on the scale of river_job.scheduled_at; NULL: none
-- yet.
ALTER TABLE sources ADD COLUMN bulk_turn TIMESTAMP;

-- The state of the weighted round robin, user: credit. There are several on PostgreSQL, where several scopes write at once.
CREATE TABLE credit_books (
    id      INTEGER PRIMARY KEY,
    credits TEXT NOT NULL DEFAULT '{}'
);
INSERT INTO credit_books (id) VALUES (1);
ALTER TABLE users DROP COLUMN credit;

-- +goose Down
ALTER TABLE users ADD COLUMN credit INTEGER NOT NULL DEFAULT 0;
DROP TABLE credit_books;
ALTER TABLE sources DROP COLUMN bulk_turn;
