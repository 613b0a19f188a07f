-- +goose Up

CREATE TABLE prices (
    sku         TEXT   PRIMARY KEY CHECK (sku <> ''),
    name        TEXT   NOT NULL,
    price_minor BIGINT NOT NULL CHECK (price_minor > 0),
    currency    TEXT   NOT NULL CHECK (LENGTH(currency) = 3)
);

CREATE TABLE orders (
    id                  TEXT        PRIMARY KEY,
    customer_id         TEXT        NOT NULL CHECK (customer_id <> ''),
    state               TEXT        NOT NULL CHECK (state IN ('pending', 'confirmed', 'completed', 'rejected', 'cancelled', 'reversed')),
    reason              TEXT        NOT NULL DEFAULT '',
    total_minor         BIGINT      NOT NULL CHECK (total_minor > 0),
    currency            TEXT        NOT NULL CHECK (LENGTH(currency) = 3),
    payment_method      TEXT        NOT NULL,
    -- What an operator should look at while the order is open: '' or stalled or parked, which step, and why.
    attention           TEXT        NOT NULL DEFAULT '' CHECK (attention IN ('', 'stalled', 'parked')),
    attention_step      TEXT        NOT NULL DEFAULT '',
    attention_reason    TEXT        NOT NULL DEFAULT '',
    attention_at        TIMESTAMPTZ,
    created_at          TIMESTAMPTZ NOT NULL,
    updated_at          TIMESTAMPTZ NOT NULL,
    saga_started_at     TIMESTAMPTZ,
    cancel_requested_at TIMESTAMPTZ,
    -- An order that was undone says why; one that was not has nothing to explain.
    CHECK ((state IN ('rejected', 'cancelled', 'reversed')) = (reason <> '')),
    CHECK (attention = '' OR state IN ('pending', 'confirmed')),
    CHECK (state NOT IN ('confirmed', 'completed', 'reversed') OR cancel_requested_at IS NULL)
);

CREATE INDEX orders_unstarted ON orders (created_at) WHERE saga_started_at IS NULL;
CREATE INDEX orders_open ON orders (id) WHERE state IN ('pending', 'confirmed');
CREATE INDEX orders_attention ON orders (attention) WHERE attention <> '';

CREATE TABLE order_lines (
    order_id         TEXT    NOT NULL REFERENCES orders (id),
    line             INTEGER NOT NULL CHECK (line > 0),
    sku              TEXT    NOT NULL,
    name             TEXT    NOT NULL,
    quantity         BIGINT  NOT NULL CHECK (quantity BETWEEN 1 AND 10000),
    unit_price_minor BIGINT  NOT NULL CHECK (unit_price_minor > 0),
    PRIMARY KEY (order_id, line)
);

CREATE TABLE idempotency_keys (
    customer_id     TEXT        NOT NULL,
    idempotency_key TEXT        NOT NULL,
    fingerprint     TEXT        NOT NULL,
    -- The key is claimed first, so that equal requests at one moment wait for each other before they cost anything.
    order_id        TEXT        NOT NULL REFERENCES orders (id) DEFERRABLE INITIALLY DEFERRED,
    created_at      TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (customer_id, idempotency_key)
);
CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);
