-- +goose Up

-- The kinds of job that a worker's release knows, as a JSON array; NULL: a release that did not say. A kind that none of
-- them knows waits for nobody.
ALTER TABLE workers ADD COLUMN kinds TEXT;

-- The queue that a job was in before it was moved to the suspect lane; '' if it was not.
ALTER TABLE job_crashes ADD COLUMN queue TEXT NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE job_crashes DROP COLUMN queue;
ALTER TABLE workers DROP COLUMN kinds;
