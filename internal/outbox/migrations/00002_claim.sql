-- +goose Up

-- The condition is one that PostgreSQL has no statistics about. From "published_at IS NULL" it would conclude how many there are:
-- with the statistics of a moment when all was published it expects none, and reads this index, with all that waits, even to find
-- a single event by its key.
DROP INDEX outbox_due;
CREATE INDEX outbox_due ON outbox (next_attempt_at) WHERE CASE WHEN published_at IS NULL THEN TRUE ELSE FALSE END;

-- A claim looks for the one event before an event by the primary key.
DROP INDEX outbox_waiting;
