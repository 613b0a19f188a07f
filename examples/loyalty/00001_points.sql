-- +goose Up
CREATE TABLE points (
    customer_id TEXT   NOT NULL PRIMARY KEY,
    points      BIGINT NOT NULL
);
