-- +goose Up

-- One row: whether the fleet as a whole has beaten without a gap. Behind a gap everybody looks dead to whoever looks first.
CREATE TABLE pulse (
    one          BOOLEAN PRIMARY KEY CHECK (one),
    last_at      TIMESTAMP NOT NULL, -- both by the database's clock
    steady_since TIMESTAMP NOT NULL
);

-- +goose Down
DROP TABLE pulse;
