-- +goose Up

-- The processes that work jobs. A row that is not renewed belongs to one that has died, or is as good as dead.
CREATE TABLE workers (
    id         TEXT PRIMARY KEY, -- the last of river_job.attempted_by while it runs a job
    host       TEXT NOT NULL,
    pid        INTEGER NOT NULL,
    started_at TIMESTAMP NOT NULL, -- both by the database's clock: those of the hosts may differ
    seen_at    TIMESTAMP NOT NULL
);

-- How often a job was running when its process died. The row goes with the job's.
CREATE TABLE job_crashes (
    job_id  INTEGER PRIMARY KEY,
    crashes INTEGER NOT NULL
);

-- +goose Down
DROP TABLE job_crashes;
DROP TABLE workers;
