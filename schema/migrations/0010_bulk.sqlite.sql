-- +goose Up

-- The place in the bulk queue that the source's last chunk of rows was given, on the scale of river_job.scheduled_at; NULL: none
-- yet.
ALTER TABLE sources ADD COLUMN bulk_turn TIMESTAMP;

-- +goose Down
ALTER TABLE sources DROP COLUMN bulk_turn;
