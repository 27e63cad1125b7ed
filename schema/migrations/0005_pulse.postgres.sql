-- +goose Up

-- One row: whether the fleet as a whole has beaten without a gap. Behind a gap everybody looks dead to whoever looks first.
CREATE TABLE pulse (
    one          boolean PRIMARY KEY CHECK (one),
    last_at      timestamptz NOT NULL, -- both by the database's clock
    steady_since timestamptz NOT NULL
);

-- +goose Down
DROP TABLE pulse;
