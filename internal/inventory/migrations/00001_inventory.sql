-- +goose Up

CREATE TABLE stock (
    sku      TEXT   PRIMARY KEY CHECK (sku <> ''),
    on_hand  BIGINT NOT NULL CHECK (on_hand >= 0),
    reserved BIGINT NOT NULL DEFAULT 0 CHECK (reserved >= 0),
    CHECK (reserved <= on_hand)
);

CREATE TABLE reservations (
    order_id TEXT   NOT NULL,
    sku      TEXT   NOT NULL REFERENCES stock (sku),
    quantity BIGINT NOT NULL CHECK (quantity > 0),
    state    TEXT   NOT NULL CHECK (state IN ('held', 'released', 'shipped')),
    PRIMARY KEY (order_id, sku)
);
CREATE INDEX reservations_held ON reservations (sku) WHERE state = 'held';

-- Every change of on_hand, so that the counts can be proved: on_hand = sum of the changes.
CREATE TABLE stock_ledger (
    entry_key   TEXT        PRIMARY KEY,
    sku         TEXT        NOT NULL REFERENCES stock (sku),
    kind        TEXT        NOT NULL CHECK (kind IN ('received', 'adjusted', 'shipped', 'restocked')),
    change      BIGINT      NOT NULL CHECK (change <> 0),
    note        TEXT        NOT NULL DEFAULT '',
    recorded_at TIMESTAMPTZ NOT NULL,
    CHECK ((kind IN ('received', 'restocked') AND change > 0) OR (kind = 'shipped' AND change < 0) OR kind = 'adjusted')
);
CREATE INDEX stock_ledger_sku ON stock_ledger (sku);
