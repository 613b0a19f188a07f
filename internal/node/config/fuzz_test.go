package config

import (
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
)

// No error quotes a URL, which may hold a password, and each service's database is another one.
func FuzzURL(f *testing.F) {
	const secret = "Xy7-Qz9"
	for _, around := range [][2]string{
		{"postgres://u:", "@127.0.0.1:5432/orderly?sslmode=disable"}, {"redis://u:", "/34@host"}, {"amqps://h/", ""}, {"postgres://u:%", "@h"},
		{"sqlite:", ""}, {"POSTGRES://h/", "#@"}, {"postgres://[::1", "]:5432/"}, {"", ""}, {"redis://:", "?@h"}, {"postgres://?host=/run/", ""},
	} {
		f.Add(around[0], around[1])
	}
	f.Fuzz(func(t *testing.T, before, after string) {
		value := before + secret + after
		if err := checkURL("DATABASE_URL", value, "postgres postgresql"); err != nil {
			require.NotContains(t, err.Error(), secret)
			return
		}
		c := Config{DatabaseURL: value}
		first, err := c.DatabaseOf("orders")
		require.NoError(t, err)
		second, err := c.DatabaseOf("payments")
		require.NoError(t, err)
		require.NotEqual(t, first, second)
		require.NoError(t, checkURL("DATABASE_URL", first, "postgres postgresql"))
		given, err := url.Parse(value)
		require.NoError(t, err)
		asked, err := url.Parse(first)
		require.NoError(t, err)
		require.Equal(t, given.Host, asked.Host, "another server")
	})
}

func FuzzKey(f *testing.F) {
	f.Add("sk_test_123")
	f.Add("pk_live_5")
	f.Add("whsec_\n")
	f.Fuzz(func(t *testing.T, key string) {
		const secret = "Xy7-Qz9"
		err := checkKey("STRIPE_API_KEY", key+secret)
		if err != nil {
			require.NotContains(t, err.Error(), secret)
			return
		}
		require.Regexp(t, `^[sr]k_[!-~]+$`, key+secret)
	})
}
