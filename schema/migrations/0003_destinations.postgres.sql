-- +goose Up

ALTER TABLE destinations
    ADD COLUMN idempotent   boolean NOT NULL DEFAULT true, -- it tells a repeat by its webhook-id
    ADD COLUMN rate         double precision NOT NULL DEFAULT 0 CHECK (rate >= 0), -- calls a second of all processes; 0: no limit
    ADD COLUMN concurrency  integer NOT NULL DEFAULT 0 CHECK (concurrency >= 0), -- calls at once of all processes; 0: no limit
    ADD COLUMN called_until bigint NOT NULL DEFAULT 0, -- microseconds since 1970 by the database's clock: what was called has used the rate up to then
    ADD COLUMN line_until   bigint NOT NULL DEFAULT 0; -- and up to then the rate is promised to those who wait

ALTER TABLE deliveries DROP CONSTRAINT deliveries_state_check;
ALTER TABLE deliveries
    ADD CONSTRAINT deliveries_state_check CHECK (state IN ('pending', 'calling', 'retrying', 'done', 'parked', 'uncertain')),
    ADD COLUMN place bigint NOT NULL DEFAULT 0; -- in the line of the destination: not called before then, in microseconds since 1970; 0 none

-- The open deliveries of a lead to a destination are made in order.
CREATE INDEX deliveries_open ON deliveries (lead_id, destination_id, id) WHERE state IN ('pending', 'calling', 'retrying');
-- How many calls a destination has now.
CREATE INDEX deliveries_calling ON deliveries (destination_id) WHERE state = 'calling';

-- +goose Down
DROP INDEX deliveries_open;
DROP INDEX deliveries_calling;
UPDATE deliveries SET state = 'parked' WHERE state = 'uncertain';
ALTER TABLE deliveries DROP COLUMN place, DROP CONSTRAINT deliveries_state_check;
ALTER TABLE deliveries
    ADD CONSTRAINT deliveries_state_check CHECK (state IN ('pending', 'calling', 'retrying', 'done', 'parked'));
ALTER TABLE destinations
    DROP COLUMN idempotent, DROP COLUMN rate, DROP COLUMN concurrency, DROP COLUMN called_until, DROP COLUMN line_until;
