-- +goose Up

-- Who draws a turn waits for nobody: a sequence is outside of transactions. One that is rolled back leaves its turn
-- unused. users.credit is kept for workers of the release before, and not read any more.
CREATE SEQUENCE owner_turns MINVALUE 0 START 0;

-- +goose Down
DROP SEQUENCE owner_turns;
