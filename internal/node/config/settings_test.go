package config_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/node/config"
)

func TestPasswordsInURLsArePercentEncoded(t *testing.T) {
	urls := map[string]string{
		"DATABASE_URL": "postgres", "ORDERS_DATABASE_URL": "postgresql", "REDIS_URL": "redis", "RABBITMQ_URL": "amqp", "SMTP_URL": "smtp",
	}
	for variable, scheme := range urls {
		for _, password := range []string{
			"s3cret%", "s3%zzcret", "s3#cret", "s3/cret", "s3?cret", "s3^cret", "s3 cret", "s3\\cret", `s3"cret`, "s3{cret}",
			"12#s3cret", "12/s3cret", "12?s3cret", "#s3cret", "/s3cret", "[s3cret",
		} {
			t.Run(variable+" "+password, func(t *testing.T) {
				t.Setenv(variable, scheme+"://shop:"+password+"@host:1/db")
				_, err := config.FromEnvironment([]string{"orders"})
				require.ErrorContains(t, err, variable+" is malformed")
				require.ErrorContains(t, err, "percent-encoded")
				require.NotContains(t, err.Error(), "s3")
				require.NotContains(t, err.Error(), "cret")
			})
		}
		for _, sound := range []string{
			"://shop:s3%25%23%2F%3F%40cret@host:1/db", "://shop:s3@cret@host:1/db", "://shop:s3:cret!$&'()*+,;=~-._@host:1/", "://host:1/db",
			"://[::1]:1/db", "://shop:s3cret@host:1/db?x=a@b",
		} {
			t.Run(variable+" "+sound, func(t *testing.T) {
				t.Setenv(variable, scheme+sound)
				_, err := config.FromEnvironment([]string{"orders"})
				require.NoError(t, err)
			})
		}
		t.Run(variable+" of another kind", func(t *testing.T) {
			t.Setenv(variable, "http://shop:s3cret@host")
			_, err := config.FromEnvironment([]string{"orders"})
			require.ErrorContains(t, err, "it must be a URL that starts with "+scheme[:4])
			require.NotContains(t, err.Error(), "s3cret")
		})
	}
	for _, sound := range []string{"postgres:///db?host=/run/postgresql&user=a@b", "sqlite:/data/50%/#1/orders.db"} {
		t.Run(sound, func(t *testing.T) {
			t.Setenv("ORDERS_DATABASE_URL", sound)
			_, err := config.FromEnvironment([]string{"orders"})
			require.NoError(t, err)
		})
	}
}
