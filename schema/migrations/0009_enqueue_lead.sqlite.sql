-- +goose Up

-- enqueue_lead is PostgreSQL's: nobody else writes to a SQLite file, and it has no functions of its own.
SELECT 1;

-- +goose Down
SELECT 1;
