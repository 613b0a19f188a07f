-- +goose Up

-- No query looks for these, and both grow with every order there has been.
DROP INDEX reservations_held;
DROP INDEX stock_ledger_sku;
