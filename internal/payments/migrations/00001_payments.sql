-- +goose Up

CREATE TABLE payments (
    order_id       TEXT        PRIMARY KEY,
    state          TEXT        NOT NULL CHECK (state IN ('started', 'authorized', 'captured', 'voided', 'refunded')),
    -- Set before an undo looks at the provider, so that no attempt that comes later begins anything new.
    given_up       BOOLEAN     NOT NULL DEFAULT FALSE,
    -- The provider's id, stored before the intent can hold any money. Every doubt is resolved by asking for it.
    intent_id      TEXT        NOT NULL DEFAULT '',
    amount_minor   BIGINT      NOT NULL DEFAULT 0 CHECK (amount_minor >= 0),
    currency       TEXT        NOT NULL DEFAULT '',
    payment_method TEXT        NOT NULL DEFAULT '',
    captured_minor BIGINT      NOT NULL DEFAULT 0 CHECK (captured_minor BETWEEN 0 AND amount_minor),
    refunded_minor BIGINT      NOT NULL DEFAULT 0 CHECK (refunded_minor BETWEEN 0 AND captured_minor),
    -- Part of the keys the provider gets; counted up when a key has been spent on an answer without effect.
    attempts       INTEGER     NOT NULL DEFAULT 1 CHECK (attempts > 0),
    created_at     TIMESTAMPTZ NOT NULL,
    updated_at     TIMESTAMPTZ NOT NULL,
    CHECK (given_up OR amount_minor > 0),
    CHECK (state NOT IN ('authorized', 'captured', 'refunded') OR intent_id <> ''),
    CHECK (state <> 'captured' OR captured_minor = amount_minor),
    CHECK (state NOT IN ('voided', 'refunded') OR (given_up AND captured_minor = refunded_minor))
);
CREATE UNIQUE INDEX payments_intent ON payments (intent_id) WHERE intent_id <> '';
