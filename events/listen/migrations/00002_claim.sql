-- +goose Up

-- The conditions are ones that PostgreSQL has no statistics about. From "state = 'pending'" it would conclude how many there are:
-- with the statistics of a moment when all was done it expects none, and reads these indexes, with all that waits, even to find
-- a single event by its key.
DROP INDEX inbox_due;
DROP INDEX inbox_unfinished;
CREATE INDEX inbox_due ON inbox (listener, next_attempt_at) WHERE CASE WHEN state = 'pending' THEN TRUE ELSE FALSE END;
CREATE INDEX inbox_unfinished ON inbox (listener, source, subject, sequence) WHERE CASE WHEN state = 'done' THEN FALSE ELSE TRUE END;
