-- +goose Up

-- Every message a listener has received: what is done, what waits for its next attempt, what is dead. The key is what makes
-- a second delivery of the same event harmless.
CREATE TABLE inbox (
    listener        TEXT        NOT NULL,
    event_id        TEXT        NOT NULL,
    source          TEXT        NOT NULL,
    subject         TEXT        NOT NULL,
    sequence        BIGINT      NOT NULL CHECK (sequence >= 0),
    event_type      TEXT        NOT NULL,
    body            TEXT        NOT NULL,
    state           TEXT        NOT NULL CHECK (state IN ('pending', 'done', 'dead')),
    attempts        INTEGER     NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    next_attempt_at TIMESTAMPTZ NOT NULL,
    reason          TEXT        NOT NULL DEFAULT '',
    received_at     TIMESTAMPTZ NOT NULL,
    done_at         TIMESTAMPTZ,
    PRIMARY KEY (listener, event_id),
    CHECK (state <> 'dead' OR reason <> ''),
    CHECK ((state = 'done') = (done_at IS NOT NULL))
);

CREATE INDEX inbox_due ON inbox (listener, next_attempt_at) WHERE state = 'pending';
CREATE INDEX inbox_unfinished ON inbox (listener, source, subject, sequence) WHERE state <> 'done';
CREATE INDEX inbox_done ON inbox (done_at) WHERE state = 'done';
