// Package testenv gives each test databases of its own, which are removed when it ends, and the tests of a package one Temporal server.
// It also records SQL with its plans, and holds payloads against golden files. A server that is not reachable is a skip that says which
// variable to set; REQUIRE_INTEGRATION=1 makes such a skip a failure.
package testenv

import (
	"context"
	"crypto/rand"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/database"
)

// Open makes an empty database for one service and brings it to the given schema.
type Open func(service string, sets ...database.Migrations) *database.DB

// EachEngine runs test once on SQLite and once on PostgreSQL, as parallel sub-tests named after the engine.
func EachEngine(t *testing.T, test func(t *testing.T, open Open)) {
	t.Helper()
	t.Run(string(database.SQLite), func(t *testing.T) {
		t.Parallel()
		test(t, func(service string, sets ...database.Migrations) *database.DB {
			return SQLite(t, service, sets...)
		})
	})
	t.Run(string(database.PostgreSQL), func(t *testing.T) {
		t.Parallel()
		test(t, Postgres(t))
	})
}

// Postgres opens databases on PostgreSQL alone, for what SQLite has none of.
func Postgres(t testing.TB) Open {
	t.Helper()
	server := os.Getenv("DATABASE_URL")
	if !strings.HasPrefix(server, "postgres") {
		Missing(t, "DATABASE_URL", "postgres://postgres@127.0.0.1:5432/postgres")
	}
	return func(service string, sets ...database.Migrations) *database.DB {
		return postgres(t, server, service, sets...)
	}
}

// SQLite makes a database in a file of the test's own folder.
func SQLite(t testing.TB, service string, sets ...database.Migrations) *database.DB {
	t.Helper()
	return open(t, service, "sqlite:"+filepath.Join(t.TempDir(), service+".db"), sets)
}

func postgres(t testing.TB, server, service string, sets ...database.Migrations) *database.DB {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	name := "orderly_test_" + strings.ToLower(rand.Text()[:12]) + "_" + service
	at, err := url.Parse(server)
	require.NoError(t, err)
	at.Path = "/" + name
	require.NoError(t, database.EnsureFor(ctx, server, at.String()))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		require.NoError(t, database.DropPostgres(ctx, server, name))
	})
	return open(t, service, at.String(), sets)
}

func open(t testing.TB, service, at string, sets []database.Migrations) *database.DB {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	db, err := database.Open(ctx, service, at)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	require.NoError(t, db.Migrate(ctx, sets...))
	return db
}

// URL is where db is, for database.Open, so that another process or another pool can open it too.
func URL(t testing.TB, db *database.DB) string {
	t.Helper()
	var name string
	if db.Engine() == database.SQLite {
		require.NoError(t, db.Get(t.Context(), &name, `SELECT file FROM pragma_database_list WHERE name = 'main'`))
		return "sqlite:" + name
	}
	require.NoError(t, db.Get(t.Context(), &name, `SELECT current_database()`))
	at, err := url.Parse(os.Getenv("DATABASE_URL"))
	require.NoError(t, err)
	at.Path = "/" + name
	return at.String()
}

// Missing skips the test and says which variable to set for it to run; with REQUIRE_INTEGRATION=1 it fails instead.
func Missing(t testing.TB, variable, example string) {
	t.Helper()
	if os.Getenv("REQUIRE_INTEGRATION") == "1" {
		t.Fatalf("%s is not set and REQUIRE_INTEGRATION=1: set it, for example to %s", variable, example)
	}
	t.Skipf("not run: set %s, for example to %s", variable, example)
}

// ThroughPooler is where the PostgreSQL database at rawURL is for a client of the pooler in transaction mode that stands before that server.
func ThroughPooler(t testing.TB, rawURL string) string {
	t.Helper()
	pooler := os.Getenv("PGBOUNCER_URL")
	if pooler == "" {
		Missing(t, "PGBOUNCER_URL", "postgres://postgres@127.0.0.1:6432/postgres, a PgBouncer in transaction mode before the server of DATABASE_URL")
	}
	at, err := url.Parse(pooler)
	require.NoError(t, err)
	direct, err := url.Parse(rawURL)
	require.NoError(t, err)
	at.Path = direct.Path
	query := at.Query()
	query.Set("pool_mode", "transaction")
	at.RawQuery = query.Encode()
	return at.String()
}
