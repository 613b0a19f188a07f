package limit_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/limit"
)

// A Redis that fails opens no limit: this process goes on from what Redis said last. It is said once, and again when it is over.
func TestARedisThatFailsOpensNothing(t *testing.T) {
	t.Parallel()
	server, clock := miniredis.RunT(t), newClock()
	server.SetTime(clock.now())
	rdb := redis.NewClient(&redis.Options{Addr: server.Addr(), DisableIdentity: true, MaxRetries: -1})
	t.Cleanup(func() { _ = rdb.Close() })
	var log bytes.Buffer
	metrics := prometheus.NewRegistry()
	l := limit.New(limit.Options{
		Redis: limit.NewRedis(rdb, "orderly:limits:", nil), Registerer: metrics, Log: slog.New(slog.NewTextHandler(&log, nil)), Now: clock.now,
	})
	require.True(t, l.Take(t.Context(), "logins", "a", hourly, 4).Allowed)
	require.Len(t, server.Keys(), 1)

	server.SetError("LOADING Redis is loading the dataset in memory")
	require.False(t, l.Take(t.Context(), "logins", "a", hourly, 1).Allowed, "what Redis had refused was let through")
	require.True(t, l.Take(t.Context(), "logins", "b", hourly, 4).Allowed)
	require.False(t, l.Take(t.Context(), "logins", "b", hourly, 1).Allowed)
	require.Equal(t, 1, strings.Count(log.String(), "\n"), log.String())
	require.Contains(t, log.String(), "level=WARN")
	require.Contains(t, log.String(), "LOADING")

	server.SetError("")
	require.True(t, l.Take(t.Context(), "logins", "c", hourly, 1).Allowed)
	require.Equal(t, 1, strings.Count(log.String(), "\n"), "said before it is sure")
	clock.add(time.Minute)
	require.True(t, l.Take(t.Context(), "logins", "c", hourly, 1).Allowed)
	require.Equal(t, 2, strings.Count(log.String(), "\n"), log.String())
	require.Contains(t, log.String(), "again")
	require.NoError(t, testutil.GatherAndCompare(metrics, strings.NewReader(`
# HELP orderly_limit_decisions_total Decisions about limits by who counted: redis, or process without Redis and while it fails.
# TYPE orderly_limit_decisions_total counter
orderly_limit_decisions_total{by="process"} 3
orderly_limit_decisions_total{by="redis"} 3
`)))
}

func TestEntriesOfAnotherSystemAreLeftAlone(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	rdb := redis.NewClient(&redis.Options{Addr: server.Addr(), DisableIdentity: true})
	t.Cleanup(func() { _ = rdb.Close() })
	theirs := errors.New("it serves another system")
	l := limit.New(limit.Options{
		Redis: limit.NewRedis(rdb, "orderly:limits:", func(context.Context) error { return theirs }), Log: slog.New(slog.DiscardHandler),
	})
	require.True(t, l.Take(t.Context(), "logins", "a", hourly, 4).Allowed)
	require.False(t, l.Take(t.Context(), "logins", "a", hourly, 1).Allowed)
	require.Empty(t, server.Keys())
}

func TestKeysInRedisShowNoAddressAndExpire(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	rdb := redis.NewClient(&redis.Options{Addr: server.Addr(), DisableIdentity: true})
	t.Cleanup(func() { _ = rdb.Close() })
	_, err := limit.NewRedis(rdb, "shop:limits:", nil).Take(t.Context(), "guesses", "ada@example.com 192.0.2.1", hourly, 3)
	require.NoError(t, err)
	keys := server.Keys()
	require.Len(t, keys, 1)
	require.Regexp(t, `^shop:limits:guesses:[\w-]{22}$`, keys[0])
	require.InDelta(t, 3*time.Hour, server.TTL(keys[0]), float64(time.Second))
}
