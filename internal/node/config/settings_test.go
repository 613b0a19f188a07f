package config_test

import (
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/node/config"
)

// Kubernetes gives each pod variables about each Service of its namespace. No setting of ours is taken from one.
func TestServiceLinksAreNotTaken(t *testing.T) {
	made := regexp.MustCompile(`_PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?$|_SERVICE_(HOST|PORT)(_|$)`)
	var names []string
	for field := range reflect.TypeFor[config.Config]().Fields() {
		if name := field.Tag.Get("env"); made.MatchString(name) {
			names = append(names, name)
		}
	}
	require.Equal(t, []string{"ORDERLY_TEMPORAL_PORT", "ORDERLY_TEMPORAL_UI_PORT"}, names, "a Service can make the names of these settings")
	for _, name := range names {
		for link, host := range map[string]string{
			"tcp://10.96.0.1:7233": "10.96.0.1", "tcp://[fd00::1]:8080": "fd00::1", "udp://10.96.0.1:53": "", "sctp://10.96.0.1:1": "",
		} {
			t.Run(name+" "+link, func(t *testing.T) {
				t.Setenv(name, link)
				t.Setenv(strings.TrimSuffix(name, "_PORT")+"_SERVICE_HOST", host)
				cfg, err := config.FromEnvironment(nil)
				require.NoError(t, err)
				require.Equal(t, []string{"7233", "8233"}, []string{cfg.TemporalPort, cfg.TemporalUIPort})
				require.Len(t, cfg.Notes, 1)
				require.Contains(t, cfg.Notes[0], name+"="+link)
			})
		}
		for _, written := range []string{
			"tcp://localhost:7233", "tcp://127.0.0.1:7233", "tcp://0.0.0.0:7233", "tcp://temporal:7233", "10.96.0.1:7233", "tcp://10.96.0.1", "7233x", "-1",
			"tcp://10.96.0.2:7233", // while the Service has another address
		} {
			t.Run(name+" "+written, func(t *testing.T) {
				t.Setenv(name, written)
				t.Setenv(strings.TrimSuffix(name, "_PORT")+"_SERVICE_HOST", "10.96.0.1")
				_, err := config.FromEnvironment(nil)
				require.ErrorContains(t, err, name+" is malformed")
			})
		}
	}
}

// A password as it is makes another URL. What is said about it names the remedy, and nothing of the password.
func TestPasswordsInURLsArePercentEncoded(t *testing.T) {
	urls := map[string]string{
		"DATABASE_URL": "postgres", "ORDERS_DATABASE_URL": "postgresql", "REDIS_URL": "redis", "RABBITMQ_URL": "amqp", // SMTP_URL: notifications/smtp
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

// A secret that is mounted as a file and read into a variable often ends in a line break.
func TestALineBreakAtTheEndOfASecretIsLeftOut(t *testing.T) {
	for name, value := range map[string]string{
		"DATABASE_URL": "postgres://shop:s3cret@host/db", "ORDERS_DATABASE_URL": "postgres://shop:s3cret@host/orders", "REDIS_URL": "redis://:s3cret@host",
		"RABBITMQ_URL": "amqp://shop:s3cret@host/", "SMTP_URL": "smtp://shop:s3cret@host:25", "STRIPE_API_KEY": "sk_test_orderly",
		"STRIPE_API_URL": "http://host",
	} {
		t.Setenv(name, value+"\r\n")
	}
	cfg, err := config.FromEnvironment([]string{"orders"})
	require.NoError(t, err)
	require.Equal(t, []string{
		"postgres://shop:s3cret@host/db", "postgres://shop:s3cret@host/orders", "redis://:s3cret@host", "amqp://shop:s3cret@host/",
		"smtp://shop:s3cret@host:25", "sk_test_orderly", "http://host",
	}, []string{
		cfg.DatabaseURL, cfg.OwnDatabases["orders"], cfg.RedisURL, cfg.RabbitMQURL, cfg.SMTPURL, cfg.StripeAPIKey, cfg.StripeAPIURL,
	})
}

func TestAKeyThatIsNoSecretKeyIsRefused(t *testing.T) {
	for key, says := range map[string]string{
		"pk_live_s3cret": "publishable", "whsec_s3cret": "webhook", "sk_live_s3 cret": "space", "sk_live_s3\ncret": "line break", "s3cret": "prefix",
		`"sk_live_s3cret"`: "prefix", "sk_live_s3crét": "another character", "STRIPE_API_KEY=sk_live_s3cret": "prefix",
	} {
		t.Run(key, func(t *testing.T) {
			t.Setenv("STRIPE_API_KEY", key)
			_, err := config.FromEnvironment(nil)
			require.ErrorContains(t, err, "STRIPE_API_KEY is malformed")
			require.ErrorContains(t, err, says)
			require.NotContains(t, err.Error(), "s3")
		})
	}
	for _, key := range []string{"sk_test_orderly", "sk_live_1", "rk_live_1", "sk_org_live_1", ""} {
		t.Run(key, func(t *testing.T) {
			t.Setenv("STRIPE_API_KEY", key)
			_, err := config.FromEnvironment(nil)
			require.NoError(t, err)
		})
	}
}
