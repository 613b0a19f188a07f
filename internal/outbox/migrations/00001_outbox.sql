-- +goose Up

-- The last sequence handed out per subject. Its row is locked until the transaction that took a number commits, so the
-- events of a subject become visible in the order of their numbers, and a rollback leaves no gap.
CREATE TABLE outbox_sequences (
    subject TEXT   PRIMARY KEY,
    last    BIGINT NOT NULL CHECK (last > 0)
);

-- An event and the state it reports are written by one transaction. A row stays until it is published and then pruned.
CREATE TABLE outbox (
    subject         TEXT        NOT NULL,
    sequence        BIGINT      NOT NULL CHECK (sequence > 0),
    event_id        TEXT        NOT NULL UNIQUE,
    event_type      TEXT        NOT NULL,
    body            TEXT        NOT NULL,
    created_at      TIMESTAMPTZ NOT NULL,
    next_attempt_at TIMESTAMPTZ NOT NULL,
    attempts        INTEGER     NOT NULL DEFAULT 0,
    last_error      TEXT        NOT NULL DEFAULT '',
    published_at    TIMESTAMPTZ,
    PRIMARY KEY (subject, sequence)
);

CREATE INDEX outbox_due ON outbox (next_attempt_at) WHERE published_at IS NULL;
CREATE INDEX outbox_waiting ON outbox (subject, sequence) WHERE published_at IS NULL;
CREATE INDEX outbox_published ON outbox (published_at) WHERE published_at IS NOT NULL;
