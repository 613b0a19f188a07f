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

// What makes and migrates databases goes past a pooler where the settings say how, and errors name the variable that was used.
func TestDirectIsPastThePooler(t *testing.T) {
	t.Setenv("DATABASE_URL", "postgres://pooler/shop?pool_mode=transaction")
	t.Setenv("DIRECT_DATABASE_URL", "postgres://server/shop")
	t.Setenv("PAYMENTS_DATABASE_URL", "postgres://pooler/money?pool_mode=transaction")
	t.Setenv("PAYMENTS_DIRECT_DATABASE_URL", "postgres://vault/money")
	t.Setenv("USERS_DATABASE_URL", "postgres://people/users")
	cfg, err := config.FromEnvironment([]string{"orders", "payments", "users"})
	require.NoError(t, err)
	for service, want := range map[string][4]string{
		"orders":   {"postgres://pooler/shop_orders?pool_mode=transaction", "DATABASE_URL", "postgres://server/shop_orders", "DIRECT_DATABASE_URL"},
		"payments": {"postgres://pooler/money?pool_mode=transaction", "PAYMENTS_DATABASE_URL", "postgres://vault/money", "PAYMENTS_DIRECT_DATABASE_URL"},
		"users":    {"postgres://people/users", "USERS_DATABASE_URL", "postgres://people/users", "USERS_DATABASE_URL"},
	} {
		through, err := cfg.DatabaseOf(service)
		require.NoError(t, err)
		past, err := cfg.Direct().DatabaseOf(service)
		require.NoError(t, err)
		require.Equal(t, want, [4]string{through, cfg.DatabaseSetting(service), past, cfg.Direct().DatabaseSetting(service)})
	}
	require.Equal(t, "DIRECT_DATABASE_URL", cfg.DirectSetting("orders"))
	require.Equal(t, "USERS_DIRECT_DATABASE_URL", cfg.DirectSetting("users"))

	t.Setenv("DATABASE_URL", "")
	_, err = config.FromEnvironment(nil)
	require.ErrorContains(t, err, "DIRECT_DATABASE_URL is set and DATABASE_URL is not")
}
