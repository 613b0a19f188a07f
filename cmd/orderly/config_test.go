package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// The private demo brings its own settings. Whatever the environment names must not be touched by it.
func TestDatabasesComeFromTheSettingsAlone(t *testing.T) {
	t.Setenv("ORDERS_DATABASE_URL", "postgres://production/orders")
	at, err := config{Data: "/tmp/demo"}.databaseURL("orders")
	require.NoError(t, err)
	require.Equal(t, "sqlite:/tmp/demo/orders.db", at)

	cfg, err := configFromEnvironment()
	require.NoError(t, err)
	at, err = cfg.databaseURL("orders")
	require.NoError(t, err)
	require.Equal(t, "postgres://production/orders", at)

	cfg.DatabaseURL = "postgres://server/shop?sslmode=disable"
	at, err = cfg.databaseURL("payments")
	require.NoError(t, err)
	require.Equal(t, "postgres://server/shop_payments?sslmode=disable", at)
}
