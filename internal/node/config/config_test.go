package config_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/node/config"
)

// The private demo brings its own settings. It must not touch what the environment names.
func TestDatabasesComeFromTheSettingsAlone(t *testing.T) {
	t.Setenv("ORDERS_DATABASE_URL", "postgres://production/orders")
	at, err := config.Config{Data: "/tmp/demo"}.DatabaseOf("orders")
	require.NoError(t, err)
	require.Equal(t, "sqlite:/tmp/demo/orders.db", at)

	cfg, err := config.FromEnvironment([]string{"orders", "payments"})
	require.NoError(t, err)
	at, err = cfg.DatabaseOf("orders")
	require.NoError(t, err)
	require.Equal(t, "postgres://production/orders", at)

	cfg.DatabaseURL = "postgres://server/shop?sslmode=disable"
	at, err = cfg.DatabaseOf("payments")
	require.NoError(t, err)
	require.Equal(t, "postgres://server/shop_payments?sslmode=disable", at)
}
