-- +goose Up

-- People who look after the system. One that was removed keeps its row, since the audit points at it, and frees its address.
-- password_hash is that of a temporary password while temporary_until is set. totp_secret is what the authenticator app holds, too: checking a
-- code takes the secret itself, so that it can't be a hash. It is in use from totp_confirmed_at on.
CREATE TABLE operators (
    id                TEXT        PRIMARY KEY,
    email             TEXT        NOT NULL CHECK (email = lower(email) AND email LIKE '%_@_%'),
    name              TEXT        NOT NULL CHECK (name <> ''),
    role              TEXT        NOT NULL CHECK (role IN ('operator', 'admin')),
    password_hash     TEXT        NOT NULL CHECK (password_hash = '' OR password_hash LIKE '$argon2id$%'),
    temporary_until   TIMESTAMPTZ,
    totp_secret       TEXT        NOT NULL DEFAULT '',
    totp_confirmed_at TIMESTAMPTZ,
    totp_step         BIGINT      NOT NULL DEFAULT 0,
    failures          BIGINT      NOT NULL DEFAULT 0 CHECK (failures >= 0),
    failed_at         TIMESTAMPTZ,
    created_at        TIMESTAMPTZ NOT NULL,
    removed_at        TIMESTAMPTZ,
    CHECK (totp_confirmed_at IS NULL OR totp_secret <> '' AND temporary_until IS NULL),
    CHECK (removed_at IS NULL OR password_hash = '' AND totp_secret = '')
);

CREATE UNIQUE INDEX operators_email ON operators (email) WHERE removed_at IS NULL;

-- A session that has ended has no row. Until second_factor_at is set it opens nothing but the way to the second factor.
CREATE TABLE operator_sessions (
    token_hash       TEXT        PRIMARY KEY CHECK (length(token_hash) = 64),
    operator_id      TEXT        NOT NULL REFERENCES operators (id),
    created_at       TIMESTAMPTZ NOT NULL,
    used_at          TIMESTAMPTZ NOT NULL,
    expires_at       TIMESTAMPTZ NOT NULL,
    second_factor_at TIMESTAMPTZ,
    CHECK (expires_at > created_at)
);

CREATE INDEX operator_sessions_operator ON operator_sessions (operator_id);
CREATE INDEX operator_sessions_expiry ON operator_sessions (expires_at);

-- Recovery codes have 128 random bits, so that their hashes need neither salt nor cost. A used one stays until the codes are made anew.
CREATE TABLE operator_recovery_codes (
    operator_id TEXT        NOT NULL REFERENCES operators (id),
    code_hash   TEXT        NOT NULL CHECK (length(code_hash) = 64),
    used_at     TIMESTAMPTZ,
    PRIMARY KEY (operator_id, code_hash)
);

-- What people did here, refused acts too. The program never updates or deletes a row. refused is the code of the refusal, empty for an act
-- that took effect.
CREATE TABLE audit (
    id      TEXT        PRIMARY KEY,
    at      TIMESTAMPTZ NOT NULL,
    actor   TEXT        NOT NULL CHECK (actor <> ''),
    door    TEXT        NOT NULL CHECK (door <> ''),
    act     TEXT        NOT NULL CHECK (act <> ''),
    subject TEXT        NOT NULL,
    detail  TEXT        NOT NULL DEFAULT '{}',
    refused TEXT        NOT NULL DEFAULT ''
);
