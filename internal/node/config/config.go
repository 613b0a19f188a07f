// Package config reads and checks the settings of a process.
package config

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"

	"example.com/orderly/internal/source"
)

// minRetention is the shortest time Temporal lets a namespace keep closed workflows.
const minRetention = 24 * time.Hour

// maxDrain is the longest time a process serves on: a longer one is taken for a mistake, since supervisors kill long before.
const maxDrain = 10 * time.Minute

// Config is what the environment and the flags say. A URL that is set replaces the embedded part it names, and nothing else.
type Config struct {
	DatabaseURL string `env:"DATABASE_URL"`
	// DirectDatabaseURL leads past a pooler to the server itself; empty where DATABASE_URL does.
	DirectDatabaseURL string `env:"DIRECT_DATABASE_URL"`

	RedisURL        string `env:"REDIS_URL"`
	RedisPrefix     string `env:"ORDERLY_REDIS_PREFIX" envDefault:"orderly"`
	RabbitMQURL     string `env:"RABBITMQ_URL"`
	RabbitMQPrefix  string `env:"ORDERLY_RABBITMQ_PREFIX" envDefault:"orderly"`
	SMTPURL         string `env:"SMTP_URL"`
	TemporalAddress string `env:"TEMPORAL_ADDRESS"`
	StripeAPIKey    string `env:"STRIPE_API_KEY"`
	StripeAPIURL    string `env:"STRIPE_API_URL"`

	Data           string `env:"ORDERLY_DATA" envDefault:".orderly"`
	APIAddr        string `env:"ORDERLY_API_ADDR" envDefault:"127.0.0.1:8080"`
	PublicURL      string `env:"ORDERLY_PUBLIC_URL"`
	OperatorAddr   string `env:"ORDERLY_OPERATOR_ADDR" envDefault:"127.0.0.1:8085"`
	HealthAddr     string `env:"ORDERLY_HEALTH_ADDR"`
	PprofAddr      string `env:"ORDERLY_PPROF_ADDR"`
	SandboxAddr    string `env:"ORDERLY_SANDBOX_ADDR" envDefault:"127.0.0.1:8090"`
	TemporalPort   string `env:"ORDERLY_TEMPORAL_PORT" envDefault:"7233"`
	TemporalUIPort string `env:"ORDERLY_TEMPORAL_UI_PORT" envDefault:"8233"`
	MailFrom       string `env:"ORDERLY_MAIL_FROM" envDefault:"Orderly <shop@orderly.example>"`
	Products       string `env:"ORDERLY_PRODUCTS"`
	TrustedProxies string `env:"ORDERLY_TRUSTED_PROXIES"`
	LogFormat      string `env:"ORDERLY_LOG_FORMAT" envDefault:"text"`
	LogLevel       string `env:"ORDERLY_LOG_LEVEL" envDefault:"info"`

	// How much may come of what, as limit.ParseRate reads it, and how many unpaid orders a customer may have. Empty and "off" are no limit.
	LimitRequests       string `env:"ORDERLY_LIMIT_REQUESTS" envDefault:"3000/1m"`
	LimitLogins         string `env:"ORDERLY_LIMIT_LOGINS" envDefault:"60/1m"`
	LimitFailedLogins   string `env:"ORDERLY_LIMIT_FAILED_LOGINS" envDefault:"10/1m"`
	LimitWrongPasswords string `env:"ORDERLY_LIMIT_WRONG_PASSWORDS" envDefault:"10/15m"`
	LimitRegistrations  string `env:"ORDERLY_LIMIT_REGISTRATIONS" envDefault:"20/10m"`
	LimitOrders         string `env:"ORDERLY_LIMIT_ORDERS" envDefault:"60/1m"`
	LimitOpenOrders     string `env:"ORDERLY_LIMIT_OPEN_ORDERS" envDefault:"20"`
	// LimitExempt are the sources that meet no limit; empty where the command decides, "none" for none.
	LimitExempt string `env:"ORDERLY_LIMIT_EXEMPT"`
	// CORSOrigins are the origins whose pages may read answers of the API; empty for none.
	CORSOrigins []string `env:"ORDERLY_CORS_ORIGINS"`

	// TemporalRetention is how long a namespace keeps closed sagas; zero leaves an existing one alone.
	TemporalRetention time.Duration `env:"ORDERLY_TEMPORAL_RETENTION"`

	// DrainTime is how long a process with the API serves on, not ready any more, before it stops; nil where the command decides.
	DrainTime *time.Duration `env:"ORDERLY_DRAIN_TIME"`

	// TemporalNamespace is used in place of TEMPORAL_NAMESPACE; empty for that one.
	TemporalNamespace string `env:"-"`

	// Inline makes sagas first try their steps in the process that runs them, which must run every role.
	Inline bool `env:"-"`

	// OwnDatabases are the databases of single services, by service: <SERVICE>_DATABASE_URL.
	OwnDatabases map[string]string `env:"-"`

	// OwnDirectDatabases are those of OwnDatabases past a pooler: <SERVICE>_DIRECT_DATABASE_URL.
	OwnDirectDatabases map[string]string `env:"-"`

	direct bool // it was returned by Direct

	// Notes are lines about variables that are set and not used. A process says them once, at its start.
	Notes []string `env:"-"`
}

// FromEnvironment reads and checks the settings. Each of the services may have a database of its own.
func FromEnvironment(services []string) (Config, error) {
	cfg, err := env.ParseAs[Config]()
	if err != nil {
		return cfg, explain(err)
	}
	cfg.OwnDatabases, cfg.OwnDirectDatabases = map[string]string{}, map[string]string{}
	for _, service := range services {
		if own := strings.TrimSpace(os.Getenv(DatabaseVariable(service))); own != "" {
			cfg.OwnDatabases[service] = own
		}
		if own := os.Getenv(DirectDatabaseVariable(service)); own != "" {
			cfg.OwnDirectDatabases[service] = own
		}
	}
	// A secret that is read from a file often ends in a line break.
	for _, secret := range []*string{&cfg.DatabaseURL, &cfg.RedisURL, &cfg.RabbitMQURL, &cfg.SMTPURL, &cfg.StripeAPIKey, &cfg.StripeAPIURL} {
		*secret = strings.TrimSpace(*secret)
	}
	for i, origin := range cfg.CORSOrigins {
		cfg.CORSOrigins[i] = strings.TrimSpace(origin)
	}
	cfg.PublicURL = strings.TrimRight(strings.TrimSpace(cfg.PublicURL), "/")
	cfg.Notes = cfg.dropServiceLinks()
	return cfg, cfg.Check()
}

// DatabaseVariable is the variable that names the database of one service.
func DatabaseVariable(service string) string { return strings.ToUpper(service) + "_DATABASE_URL" }

// DirectDatabaseVariable is the variable that names the database of one service past a pooler.
func DirectDatabaseVariable(service string) string {
	return strings.ToUpper(service) + "_DIRECT_DATABASE_URL"
}

// DatabaseSetting is the variable that says where the service's database is.
func (c Config) DatabaseSetting(service string) string {
	switch {
	case c.direct && c.OwnDirectDatabases[service] != "":
		return DirectDatabaseVariable(service)
	case c.OwnDatabases[service] != "":
		return DatabaseVariable(service)
	case c.direct && c.DirectDatabaseURL != "":
		return "DIRECT_DATABASE_URL"
	}
	return "DATABASE_URL"
}

// Check says which setting is malformed and how it should look. Values are only quoted where they can't hold a password.
func (c Config) Check() error {
	for _, u := range []struct{ name, value, schemes string }{
		{"DATABASE_URL", c.DatabaseURL, "postgres postgresql"},
		{"DIRECT_DATABASE_URL", c.DirectDatabaseURL, "postgres postgresql"},
		{"REDIS_URL", c.RedisURL, "redis rediss unix"},
		{"RABBITMQ_URL", c.RabbitMQURL, "amqp amqps"},
		{"STRIPE_API_URL", c.StripeAPIURL, "http https"},
	} {
		if u.value == "" {
			continue
		}
		if err := checkURL(u.name, u.value, u.schemes); err != nil {
			return err
		}
	}
	if err := c.checkAddresses(); err != nil {
		return err
	}
	for service, own := range c.OwnDatabases {
		if strings.HasPrefix(own, "sqlite:") {
			continue // what follows is the path of a file as it is
		}
		if err := checkURL(DatabaseVariable(service), own, "postgres postgresql sqlite"); err != nil {
			return err
		}
	}
	if c.DirectDatabaseURL != "" && c.DatabaseURL == "" {
		return errors.New("DIRECT_DATABASE_URL is set and DATABASE_URL is not: it is where the same databases are past a pooler")
	}
	for service, own := range c.OwnDirectDatabases {
		if parsed, err := url.Parse(own); err != nil || !contains("postgres postgresql", parsed.Scheme) {
			return fmt.Errorf("%s is malformed: it must be a URL that starts with postgres://", DirectDatabaseVariable(service))
		}
	}
	for _, a := range []struct{ name, value string }{
		{"ORDERLY_API_ADDR", c.APIAddr}, {"ORDERLY_OPERATOR_ADDR", c.OperatorAddr}, {"ORDERLY_HEALTH_ADDR", c.HealthAddr},
		{"ORDERLY_PPROF_ADDR", c.PprofAddr}, {"ORDERLY_SANDBOX_ADDR", c.SandboxAddr},
	} {
		if a.value == "" && (a.name == "ORDERLY_HEALTH_ADDR" || a.name == "ORDERLY_PPROF_ADDR") {
			continue
		}
		if _, port, err := net.SplitHostPort(a.value); err != nil || !isPort(port) {
			return fmt.Errorf("%s is malformed: %q is not host:port", a.name, a.value)
		}
	}
	if _, err := source.ParseNetworks(c.TrustedProxies); err != nil {
		return fmt.Errorf("ORDERLY_TRUSTED_PROXIES is malformed: %w", err)
	}
	if err := c.checkLimits(); err != nil {
		return err
	}
	for _, p := range c.ports() {
		if !isPort(*p.value) {
			return fmt.Errorf("%s is malformed: %q is not a port (0 chooses a free one)", p.name, *p.value)
		}
	}
	if !contains("text json", c.LogFormat) {
		return fmt.Errorf("ORDERLY_LOG_FORMAT is malformed: %q is neither text nor json", c.LogFormat)
	}
	if _, err := c.level(); err != nil {
		return fmt.Errorf("ORDERLY_LOG_LEVEL is malformed: %q is none of debug, info, warn, error", c.LogLevel)
	}
	if c.StripeAPIKey != "" {
		if err := checkKey("STRIPE_API_KEY", c.StripeAPIKey); err != nil {
			return err
		}
	}
	if strings.ContainsAny(c.RabbitMQPrefix, "*# ") || len(c.RabbitMQPrefix) > 100 {
		return fmt.Errorf("ORDERLY_RABBITMQ_PREFIX is malformed: %q has a space or a wildcard, or is longer than 100 characters", c.RabbitMQPrefix)
	}
	if strings.ContainsAny(c.RedisPrefix, `*?[]{}\ `) || len(c.RedisPrefix) > 100 {
		return fmt.Errorf("ORDERLY_REDIS_PREFIX is malformed: %q has a space, a wildcard or a brace, or is longer than 100 characters", c.RedisPrefix)
	}
	if c.Data == "" {
		return errors.New("ORDERLY_DATA is empty: name a folder")
	}
	if c.TemporalRetention != 0 && c.TemporalRetention < minRetention {
		return fmt.Errorf("ORDERLY_TEMPORAL_RETENTION is malformed: %s is shorter than the %s Temporal allows", c.TemporalRetention, minRetention)
	}
	if d := c.DrainTime; d != nil && (*d < 0 || *d > maxDrain) {
		return fmt.Errorf("ORDERLY_DRAIN_TIME is malformed: %s is not between 0s and %s", *d, maxDrain)
	}
	return nil
}

// durations are the settings that are parsed, by the field they are parsed into, each with an example of what it may be.
var durations = map[string][2]string{
	"TemporalRetention": {"ORDERLY_TEMPORAL_RETENTION", "168h"},
	"DrainTime":         {"ORDERLY_DRAIN_TIME", "5s"},
}

// explain names the setting that can't be parsed.
func explain(err error) error {
	var all env.AggregateError
	if errors.As(err, &all) {
		for _, err := range all.Errors {
			var malformed env.ParseError
			if !errors.As(err, &malformed) {
				continue
			}
			if d, known := durations[malformed.Name]; known {
				return fmt.Errorf("%s is malformed: it must be a duration such as %s", d[0], d[1])
			}
		}
	}
	return err
}

// EmbeddedDatabaseSetting is the variable to set so that the first of these services whose database is a file gets another one; empty
// when no service has a file.
func (c Config) EmbeddedDatabaseSetting(services []string) (setting string) {
	for _, service := range services {
		if own := c.OwnDatabases[service]; strings.HasPrefix(own, "sqlite:") || own == "" && c.DatabaseURL == "" {
			return c.DatabaseSetting(service)
		}
	}
	return ""
}

// EmbedsProvider reports that no payment provider is named: orderly dev then runs the sandbox in its own process, and orderly serve
// refuses the roles that ask a provider.
func (c Config) EmbedsProvider() bool { return c.StripeAPIKey == "" && c.StripeAPIURL == "" }

func (c Config) level() (slog.Level, error) {
	var level slog.Level
	return level, level.UnmarshalText([]byte(c.LogLevel))
}

// Logger writes to the given writer, in the format and from the level of the settings, which must have been checked.
func (c Config) Logger(to io.Writer) *slog.Logger {
	level, _ := c.level() // checked before
	options := &slog.HandlerOptions{Level: level}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(to, options))
	}
	return slog.New(slog.NewTextHandler(to, options))
}

// DatabaseOf is where a service's database is: a file of the data folder, or a database of the PostgreSQL server whose name
// begins like the one in DATABASE_URL. <SERVICE>_DATABASE_URL overrides both.
func (c Config) DatabaseOf(service string) (string, error) {
	if own := c.OwnDatabases[service]; own != "" {
		return own, nil
	}
	if c.DatabaseURL == "" {
		return "sqlite:" + c.Data + "/" + service + ".db", nil
	}
	at, err := url.Parse(c.DatabaseURL)
	if err != nil {
		return "", err
	}
	// Where there is no host, as in postgres://?host=/run/postgresql, a name without a slash would become one.
	at.Path = "/" + strings.TrimPrefix(at.Path, "/") + "_" + service
	return at.String(), nil
}

// Direct is c with each database past its pooler, where there is one: as migrations and the making of databases need it.
func (c Config) Direct() Config {
	c.direct = true
	c.DatabaseURL = cmp.Or(c.DirectDatabaseURL, c.DatabaseURL)
	own := maps.Clone(c.OwnDatabases)
	if own == nil {
		own = map[string]string{}
	}
	maps.Copy(own, c.OwnDirectDatabases)
	c.OwnDatabases = own
	return c
}

// DirectSetting is the variable that says, or would say, where the service's database is past a pooler.
func (c Config) DirectSetting(service string) string {
	if c.OwnDatabases[service] != "" {
		return DirectDatabaseVariable(service)
	}
	return "DIRECT_DATABASE_URL"
}

func isPort(text string) bool {
	port, err := net.LookupPort("tcp", text)
	return err == nil && port >= 0 && fmt.Sprint(port) == text
}

func contains(words, word string) bool {
	for _, w := range strings.Fields(words) {
		if w == word {
			return true
		}
	}
	return false
}
