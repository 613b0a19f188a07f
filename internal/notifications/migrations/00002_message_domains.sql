-- +goose Up

-- What the Message-IDs of mails end in, by when the event behind a mail happened: the last row that is not later. So a mail keeps its id
-- when the sender's domain changes. The first row is from 1970.
CREATE TABLE message_domains (
    since  TIMESTAMPTZ PRIMARY KEY,
    domain TEXT        NOT NULL CHECK (domain <> '')
);
