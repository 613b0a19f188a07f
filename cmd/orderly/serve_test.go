package main

import (
	"context"
	"crypto/rand"
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/database"
	"example.com/orderly/internal/node"
)

// requireRefusal runs the program to its end: exit code 1, and one line that says all of these.
func (w *world) requireRefusal(args []string, says ...string) {
	w.t.Helper()
	said, code := w.command(args...)
	require.Equal(w.t, 1, code, said)
	_, complaint, found := strings.Cut(said, "orderly: ")
	require.True(w.t, found, said)
	if args[0] == "adopt" { // what it found, on standard output, may be read after its refusal
		complaint, _, _ = strings.Cut(complaint, "\n")
		complaint += "\n"
	}
	require.Equal(w.t, 1, strings.Count(complaint, "\n"), "more than one line: %s", said)
	for _, words := range says {
		require.Contains(w.t, complaint, words)
	}
	require.NotContains(w.t, said, "s3cret")
}

// Without the URLs that a role needs nothing starts, and one line says which.
func TestServeSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	shared := []string{"DATABASE_URL=postgres://h/db", "RABBITMQ_URL=amqp://h", "TEMPORAL_ADDRESS=h:7233", "STRIPE_API_URL=http://h"}
	without := func(name string) []string {
		var rest []string
		for _, set := range shared {
			if !strings.HasPrefix(set, name) {
				rest = append(rest, set)
			}
		}
		return rest
	}
	for _, c := range []struct {
		roles string
		env   []string
		says  string
	}{
		{"", shared, "operator, or all"},
		{"mail", shared, `"mail"`},
		{"api orders --inline", shared, "serve all --inline"},
		{"orders", without("DATABASE_URL"), "DATABASE_URL"},
		{"orders", without("RABBITMQ_URL"), "RABBITMQ_URL"},
		{"inventory", without("TEMPORAL_ADDRESS"), "TEMPORAL_ADDRESS"},
		{"payments", without("STRIPE"), "STRIPE_API_KEY or STRIPE_API_URL"},
		{"all", nil, "STRIPE_API_KEY or STRIPE_API_URL"},
		{"api", append(without("DATABASE_URL"), "ORDERS_DATABASE_URL=postgres://h/db"), "DATABASE_URL"},
		{"orders", append(shared, "ORDERS_DATABASE_URL=sqlite:/nowhere/orders.db"), "ORDERS_DATABASE_URL"},
		{"orders", append(shared, "ORDERLY_HEALTH_ADDR=here"), "ORDERLY_HEALTH_ADDR"},
		{"orders", append(shared, "ORDERLY_TEMPORAL_RETENTION=1h"), "ORDERLY_TEMPORAL_RETENTION"},
		{"orders", append(shared, "ORDERLY_TEMPORAL_RETENTION=week"), "ORDERLY_TEMPORAL_RETENTION"},
		{"api", append(shared, "ORDERLY_DRAIN_TIME=5"), "ORDERLY_DRAIN_TIME"},
		{"api", append(shared, "ORDERLY_DRAIN_TIME=-5s"), "ORDERLY_DRAIN_TIME"},
		{"orders", append(shared, "ORDERLY_RABBITMQ_PREFIX=a b"), "ORDERLY_RABBITMQ_PREFIX"},
		{"orders", append(shared, "ORDERLY_REDIS_PREFIX=a{b}"), "ORDERLY_REDIS_PREFIX"},
		{"orders", append(shared, "RABBITMQ_URL=amqp://shop:12/s3cret@h"), "percent-encoded"},
		{"api", append(shared, "TEMPORAL_CODEC_ENDPOINT=http://codec"), "TEMPORAL_CODEC_ENDPOINT"},
		{"inventory", append(shared, "TEMPORAL_ADDRESS=temporal"), "TEMPORAL_ADDRESS"},
		{"payments", append(shared, "STRIPE_API_KEY=pk_live_s3cret"), "STRIPE_API_KEY"},
		{"orders", append(shared, "ORDERLY_TEMPORAL_PORT=tcp://localhost:7233"), "ORDERLY_TEMPORAL_PORT"},
	} {
		t.Run(c.roles+" "+c.says, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.env = append(w.env, c.env...)
			w.requireRefusal(append([]string{"serve"}, strings.Fields(c.roles)...), c.says)
		})
	}
}

// newLogin makes a login of PostgreSQL with the password s3cret; it has no rights but those of PUBLIC.
func newLogin(t *testing.T, parts realParts, suffix string) string {
	t.Helper()
	login := parts.prefix + suffix
	admin, err := database.Open(t.Context(), "admin", parts.server)
	require.NoError(t, err)
	_, err = admin.Exec(t.Context(), `CREATE ROLE `+login+` LOGIN PASSWORD 's3cret'`)
	require.NoError(t, err)
	t.Cleanup(func() {
		for _, service := range node.ServiceNames() { // what it was granted, or has made, goes first
			at, err := database.Open(context.Background(), service, parts.of(service))
			if err == nil {
				_, err = at.Exec(context.Background(), `DROP OWNED BY `+login)
				require.NoError(t, errors.Join(err, at.Close()))
			}
		}
		_, err := admin.Exec(context.Background(), `DROP ROLE `+login)
		require.NoError(t, errors.Join(err, admin.Close()))
	})
	return login
}

// What a server refuses is one line that names the variable and the remedy.
func TestServeSaysWhatIsRefused(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	login, reader := newLogin(t, d.parts, "_login"), newLogin(t, d.parts, "_reader")
	// Everything but to change the one table that matters most.
	payments := d.parts.open(t, "payments")
	for _, statement := range []string{
		`GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO `, `REVOKE UPDATE ON payments FROM `,
	} {
		_, err := payments.Exec(t.Context(), statement+reader)
		require.NoError(t, err)
	}
	changed := func(rawURL string, change func(*url.URL)) string {
		at, err := url.Parse(rawURL)
		require.NoError(t, err)
		change(at)
		return at.String()
	}
	other := func(name string) string { return changed(d.parts.database, func(at *url.URL) { at.Path = "/" + name }) }
	as := func(user string) string {
		return changed(d.parts.database, func(at *url.URL) { at.User = url.UserPassword(user, "s3cret") })
	}
	// One service's database from before anything was migrated.
	empty := d.parts.prefix + "_empty"
	require.NoError(t, database.EnsureFor(t.Context(), d.parts.server, other(empty)))
	t.Cleanup(func() { require.NoError(t, database.DropPostgres(context.Background(), d.parts.server, empty)) })

	for name, c := range map[string]struct {
		role, set string
		says      []string
	}{
		"no such login":         {"orders", "DATABASE_URL=" + as("nobody_"+strings.ToLower(rand.Text()[:8])), []string{"DATABASE_URL", "check the user"}},
		"no such database":      {"orders", "DATABASE_URL=" + other("nowhere"), []string{"DATABASE_URL", "orderly migrate"}},
		"an older schema":       {"orders", "ORDERS_DATABASE_URL=" + other(empty), []string{"ORDERS_DATABASE_URL", "older schema", "orderly migrate"}},
		"no right to its rows":  {"orders", "DATABASE_URL=" + as(login), []string{"DATABASE_URL", "grant"}},
		"no right to change":    {"payments", "DATABASE_URL=" + as(reader), []string{"DATABASE_URL", "table payments", "UPDATE"}},
		"the broker's login":    {"orders", "RABBITMQ_URL=" + changed(d.parts.broker, func(at *url.URL) { at.User = url.UserPassword("nobody", "s3cret") }), []string{"RABBITMQ_URL", "nobody"}},
		"the broker's vhost":    {"listeners", "RABBITMQ_URL=" + changed(d.parts.broker, func(at *url.URL) { at.Path = "/nowhere" }), []string{"RABBITMQ_URL", "nowhere"}},
		"the cache's password":  {"listeners", "REDIS_URL=" + changed(d.parts.cache, func(at *url.URL) { at.User = url.UserPassword("nobody", "s3cret") }), []string{"REDIS_URL", "password"}},
		"the cache's number":    {"listeners", "REDIS_URL=" + changed(d.parts.cache, func(at *url.URL) { at.Path = "/99999" }), []string{"REDIS_URL", "number"}},
		"no such namespace":     {"orders", "TEMPORAL_NAMESPACE=nowhere", []string{"TEMPORAL_NAMESPACE", "nowhere", "orderly migrate"}},
		"none for the api":      {"api", "TEMPORAL_NAMESPACE=nowhere", []string{"TEMPORAL_NAMESPACE", "nowhere", "orderly migrate"}},
		"no such product list":  {"migrate", "ORDERLY_PRODUCTS=/nowhere.json", []string{"ORDERLY_PRODUCTS", "/nowhere.json"}},
		"a broken product list": {"migrate", "ORDERLY_PRODUCTS=/proc/version", []string{"ORDERLY_PRODUCTS", "/proc/version"}},
		"a certificate":         {"orders", "TEMPORAL_TLS_SERVER_CA_CERT_PATH=/nowhere.pem", []string{"TEMPORAL_", "/nowhere.pem"}},
	} {
		t.Run(name, func(t *testing.T) {
			own := *d.world
			own.t = t
			own.env = append(append([]string{}, d.env...), "ORDERLY_HEALTH_ADDR=127.0.0.1:0", c.set)
			args := []string{"serve", c.role}
			if c.role == "migrate" {
				args = args[1:]
			}
			own.requireRefusal(args, c.says...)
		})
	}
}
