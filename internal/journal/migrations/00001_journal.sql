-- +goose Up

-- Every event there has been, as it was published. Rows are added and never changed.
CREATE TABLE journal (
    event_id    TEXT        PRIMARY KEY,
    source      TEXT        NOT NULL,
    subject     TEXT        NOT NULL,
    sequence    BIGINT      NOT NULL CHECK (sequence > 0),
    event_type  TEXT        NOT NULL,
    occurred_at TIMESTAMPTZ NOT NULL,
    data        TEXT        NOT NULL,
    UNIQUE (source, subject, sequence)
);

CREATE INDEX journal_of_subject ON journal (subject, occurred_at, source, sequence);
