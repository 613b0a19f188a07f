-- +goose Up

-- A claim looks for the one event before an event by the primary key.
DROP INDEX outbox_waiting;
