-- +goose Up

-- The keys with which entries in Redis are sealed. The latest two are in use; internal/users/keys.go says when a new one comes.
CREATE TABLE cache_keys (
    number     BIGINT      PRIMARY KEY CHECK (number > 0),
    secret     TEXT        NOT NULL CHECK (length(secret) = 64),
    created_at TIMESTAMPTZ NOT NULL
);

-- Where a session was opened from and with which program, for the customer's own list; empty where it is not known.
ALTER TABLE sessions ADD COLUMN source TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN user_agent TEXT NOT NULL DEFAULT '';
