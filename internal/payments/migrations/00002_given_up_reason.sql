-- +goose Up

-- The first reason that an undo of the order has named; empty where none did.
ALTER TABLE payments ADD COLUMN given_up_reason TEXT NOT NULL DEFAULT '';
