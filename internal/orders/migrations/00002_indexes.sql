-- +goose Up

-- A key is written before its order, so SQLite looks at each new order for keys that wait for it. PostgreSQL does not need this.
CREATE INDEX idempotency_keys_order ON idempotency_keys (order_id);

-- Without statistics PostgreSQL takes "is not empty" for nearly all, and would rather read the whole table than this index.
DROP INDEX orders_attention;
CREATE INDEX orders_attention ON orders (attention) WHERE attention IN ('stalled', 'parked');
