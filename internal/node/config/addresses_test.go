package config_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/node/config"
)

func TestAddressesForBrowsersAreChecked(t *testing.T) {
	for variable, values := range map[string]struct{ sound, malformed []string }{
		"ORDERLY_PUBLIC_URL": {
			[]string{"", "https://shop.example", "https://shop.example/", "http://localhost:8080/a/b", " https://shop.example/base\n"},
			[]string{
				"shop.example", "//shop.example", "ftp://shop.example", "https://", "https:///base", "https://me@shop.example", "https://shop.example?a=b",
				"https://shop.example?", "https://shop.example/#a", "https://shop.example/a%2Fb", "https://shop.example//base",
			},
		},
		"ORDERLY_CORS_ORIGINS": {
			[]string{"", "https://shop.example", "http://localhost:3000, https://shop.example:8443"},
			[]string{
				"*", "null", "shop.example", "https://shop.example/", "https://shop.example/a", "https://SHOP.example", "https://me@shop.example",
				"https://shop.example,*", "https://shop.example;https://b.example", "https://",
			},
		},
	} {
		for _, value := range values.sound {
			t.Run(variable+"="+value, func(t *testing.T) {
				t.Setenv(variable, value)
				_, err := config.FromEnvironment(nil)
				require.NoError(t, err)
			})
		}
		for _, value := range values.malformed {
			t.Run(variable+"="+value, func(t *testing.T) {
				t.Setenv(variable, value)
				_, err := config.FromEnvironment(nil)
				require.ErrorContains(t, err, variable+" is malformed")
				require.ErrorContains(t, err, "https://shop.example", "it says what is right")
			})
		}
	}
	t.Setenv("ORDERLY_PUBLIC_URL", "https://shop.example/base/")
	t.Setenv("ORDERLY_CORS_ORIGINS", "https://a.example, https://b.example")
	cfg, err := config.FromEnvironment(nil)
	require.NoError(t, err)
	require.Equal(t, "https://shop.example/base", cfg.PublicURL)
	require.Equal(t, []string{"https://a.example", "https://b.example"}, cfg.CORSOrigins)
}
