-- +goose Up

-- Without statistics PostgreSQL takes "is not done" for nearly all, and would rather read the whole table than this index.
DROP INDEX inbox_unfinished;
CREATE INDEX inbox_unfinished ON inbox (listener, source, subject, sequence) WHERE state IN ('pending', 'dead');
