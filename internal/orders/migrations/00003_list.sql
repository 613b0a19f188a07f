-- +goose Up

-- The orders of one customer, state by state, in the order of a list.
CREATE INDEX orders_of_customer ON orders (customer_id, state, created_at, id);
