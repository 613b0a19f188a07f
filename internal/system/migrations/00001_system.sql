-- +goose Up

-- Which system this database belongs to. One row.
CREATE TABLE system_id (
    only_row INTEGER     PRIMARY KEY CHECK (only_row = 1),
    id       TEXT        NOT NULL CHECK (id <> ''),
    since    TIMESTAMPTZ NOT NULL
);
