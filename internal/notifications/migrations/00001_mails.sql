-- +goose Up

-- Which mails were sent, by the event they report; subject is what the event is about, an order or a customer. No address and
-- no name: they belong to the users service and are asked for when needed.
CREATE TABLE mails (
    event_id TEXT        PRIMARY KEY CHECK (event_id <> ''),
    subject  TEXT        NOT NULL CHECK (subject <> ''),
    template TEXT        NOT NULL CHECK (template <> ''),
    sent_at  TIMESTAMPTZ NOT NULL
);

CREATE INDEX mails_of_subject ON mails (subject, sent_at);
