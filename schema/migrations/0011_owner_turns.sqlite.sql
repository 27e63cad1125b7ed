-- +goose Up

-- SQLite has one writer at a time, and no sequences. users.credit is not read any more.
CREATE TABLE owner_turns (next INTEGER NOT NULL);
INSERT INTO owner_turns (next) VALUES (0);

-- +goose Down
DROP TABLE owner_turns;
