-- +goose Up

-- A deleted customer keeps a row without personal data: orders still point at the id, and the version outlives the profile so
-- that no cache can bring it back.
CREATE TABLE users (
    id            TEXT        PRIMARY KEY,
    email         TEXT        UNIQUE CHECK (email = lower(email) AND email LIKE '%_@_%'),
    name          TEXT        NOT NULL,
    password_hash TEXT        NOT NULL DEFAULT '' CHECK (password_hash = '' OR password_hash LIKE '$argon2id$%'),
    version       BIGINT      NOT NULL CHECK (version > 0),
    created_at    TIMESTAMPTZ NOT NULL,
    updated_at    TIMESTAMPTZ NOT NULL,
    deleted_at    TIMESTAMPTZ,
    CONSTRAINT users_whole_or_forgotten CHECK (
        (deleted_at IS NULL AND email IS NOT NULL AND name <> '') OR
        (deleted_at IS NOT NULL AND email IS NULL AND name = '' AND password_hash = ''))
);

-- A session that has ended has no row. Only the hash of the token is here: who reads this table cannot log in with it.
CREATE TABLE sessions (
    token_hash TEXT        PRIMARY KEY CHECK (length(token_hash) = 64),
    user_id    TEXT        NOT NULL REFERENCES users (id),
    created_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL,
    CHECK (expires_at > created_at)
);

CREATE INDEX sessions_user ON sessions (user_id);
CREATE INDEX sessions_expiry ON sessions (expires_at);
