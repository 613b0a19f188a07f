-- +goose Up

-- How far it is known which published events each listener has: all up to confirmed_until. called_until is the end of the window that the
-- listener was asked about and has not answered yet. What changes a row names the state it has seen, so that of several relays one does.
CREATE TABLE outbox_roll_calls (
    listener        TEXT        PRIMARY KEY CHECK (listener <> ''),
    confirmed_until TIMESTAMPTZ NOT NULL,
    called_until    TIMESTAMPTZ CHECK (called_until > confirmed_until),
    next_call_at    TIMESTAMPTZ NOT NULL
);
