package main

import (
	"context"
	"crypto/rand"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"example.com/orderly/events/rabbit"
	"example.com/orderly/internal/database"
	"example.com/orderly/internal/node"
	"example.com/orderly/internal/node/config"
	"example.com/orderly/internal/testenv"
)

// realParts are PostgreSQL, RabbitMQ and Redis, of which the test has a part for itself: databases and queues of its own name, gone when
// it ends.
type realParts struct{ server, database, broker, cache, prefix string }

func newRealParts(t *testing.T) realParts {
	t.Helper()
	server, broker, cache := os.Getenv("DATABASE_URL"), os.Getenv("RABBITMQ_URL"), os.Getenv("REDIS_URL")
	if !strings.HasPrefix(server, "postgres") {
		testenv.Missing(t, "DATABASE_URL", "postgres://postgres@127.0.0.1:5432/postgres")
	}
	if broker == "" {
		testenv.Missing(t, "RABBITMQ_URL", "amqp://guest:guest@127.0.0.1:5672/")
	}
	if cache == "" {
		testenv.Missing(t, "REDIS_URL", "redis://127.0.0.1:6379/0")
	}
	at, err := url.Parse(server)
	require.NoError(t, err)
	name := "orderly_test_" + strings.ToLower(rand.Text()[:12])
	at.Path = "/" + name
	t.Cleanup(func() {
		for _, service := range node.ServiceNames() {
			require.NoError(t, database.DropPostgres(context.Background(), server, name+"_"+service))
		}
	})
	p := realParts{server, at.String(), broker, cache, name}
	p.cleanUp(t, name)
	return p
}

// cleanUp removes what has this prefix from the broker and from Redis when the test ends.
func (p realParts) cleanUp(t *testing.T, prefix string) {
	t.Cleanup(func() {
		ctx := context.Background()
		rest := rabbit.Config{URL: p.broker, Prefix: prefix}
		require.NoError(t, rabbit.Remove(ctx, rest, node.Subscriptions()...))
		require.NoError(t, rabbit.RemoveAnswers(ctx, rest, node.Sources()...))
		p.removeEntries(ctx, t, prefix)
	})
}

// removeEntries deletes what the test's processes have in Redis, of which the claim of the system would stay for a day.
func (p realParts) removeEntries(ctx context.Context, t *testing.T, prefix string) {
	options, err := redis.ParseURL(p.cache)
	require.NoError(t, err)
	client := redis.NewClient(options)
	defer func() { _ = client.Close() }()
	entries := client.Scan(ctx, 0, prefix+":*", 1000).Iterator()
	for entries.Next(ctx) {
		require.NoError(t, client.Del(ctx, entries.Val()).Err())
	}
	require.NoError(t, entries.Err())
}

// of is the service's database.
func (p realParts) of(service string) string {
	at, err := config.Config{DatabaseURL: p.database}.DatabaseOf(service)
	if err != nil {
		panic(err) // it was built from a URL
	}
	return at
}

// open opens the service's database to look into it.
func (p realParts) open(t *testing.T, service string) *database.DB {
	t.Helper()
	db, err := database.Open(t.Context(), service, p.of(service))
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func (p realParts) env() []string {
	return []string{
		"DATABASE_URL=" + p.database, "RABBITMQ_URL=" + p.broker, "REDIS_URL=" + p.cache, "ORDERLY_RABBITMQ_PREFIX=" + p.prefix,
		"ORDERLY_REDIS_PREFIX=" + p.prefix,
	}
}

// The same binary on PostgreSQL, RabbitMQ and Redis, each replacing its embedded part by its URL alone.
func TestDemoOnRealParts(t *testing.T) {
	t.Parallel()
	parts := newRealParts(t)
	w := newWorld(t)
	w.env = append(w.env, parts.env()...)
	p := w.start()
	w.demo()
	require.Contains(t, w.metrics(), `orderly_rabbit_stored_total{listener="journal"}`)
	files, err := os.ReadDir(w.data)
	require.NoError(t, err)
	for _, file := range files {
		require.NotContains(t, node.ServiceNames(), strings.TrimSuffix(file.Name(), ".db"), "a database was embedded though DATABASE_URL is set")
	}
	p.terminate()

	// What was announced before is still there after the next start, from the real parts alone.
	p = w.start()
	s := w.customer()
	w.requireCompleted(s, w.place(s, "pm_card_visa").ID)
	p.terminate()
}
