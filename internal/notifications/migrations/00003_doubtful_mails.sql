-- +goose Up

-- Mails that were handed over whole without an answer, and how often: the recipient may have each of them that many times.
CREATE TABLE doubtful_mails (
    event_id TEXT    PRIMARY KEY CHECK (event_id <> ''),
    times    INTEGER NOT NULL CHECK (times > 0)
);
