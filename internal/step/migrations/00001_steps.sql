-- +goose Up

-- One row per step that was ever decided in this service. 'running' is not written: a step's row says 'yes' until it is changed.
CREATE TABLE steps (
    step_key    TEXT        PRIMARY KEY,
    outcome     TEXT        NOT NULL CHECK (outcome IN ('running', 'yes', 'no', 'undone')),
    result      TEXT        NOT NULL DEFAULT '',
    code        TEXT        NOT NULL DEFAULT '',
    message     TEXT        NOT NULL DEFAULT '',
    recorded_at TIMESTAMPTZ NOT NULL,
    CHECK ((outcome = 'no') = (code <> ''))
);
