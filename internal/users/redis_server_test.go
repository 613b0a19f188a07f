package users_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/testenv"
	"example.com/orderly/internal/users"
)

// on is a cache on the Redis of the URL, with what it counts.
func (b bundle) on(t *testing.T, url string) (*users.Cache, func(counter string) float64) {
	t.Helper()
	rdb, err := users.NewRedis(url)
	require.NoError(t, err)
	reg := prometheus.NewRegistry()
	cache := users.NewCache(rdb, b.service, users.CacheOptions{Metrics: users.NewMetrics(reg), Log: slog.New(slog.DiscardHandler)})
	t.Cleanup(func() {
		cache.Close()
		require.NoError(t, rdb.Close())
	})
	return cache, func(counter string) float64 {
		families, err := reg.Gather()
		require.NoError(t, err)
		for _, m := range families[0].GetMetric() {
			if m.GetLabel()[0].GetValue()+" "+m.GetLabel()[1].GetValue() == counter {
				return m.GetCounter().GetValue()
			}
		}
		return -1
	}
}

// A cluster is used as a whole, whether the URL names one of its nodes or several.
func TestEveryNodeOfAClusterIsUsed(t *testing.T) {
	t.Parallel()
	addrs, admins := testenv.RedisCluster(t)
	for _, admin := range admins { // what operations.md says that a user needs
		require.NoError(t, admin.Do(t.Context(), "ACL", "SETUSER", "app", "on", ">s3cret", "~orderly:users:*", "+eval", "+evalsha", "+hget", "+hset",
			"+pexpire", "+cluster|slots", "+cluster|shards", "+command").Err())
	}
	for name, url := range map[string]string{
		"a user with rights of its own": "redis://app:s3cret@" + addrs[0],
		"its rights, several nodes":     "redis://app:s3cret@" + addrs[0] + "?addr=" + addrs[1],
		"a single node":                 "redis://" + addrs[0],
		"the other one":                 "redis://" + addrs[1] + "/0",
		"several nodes":                 "redis://" + addrs[0] + "?addr=" + addrs[1],
		"one of two left":               "redis://127.0.0.1:1?addr=" + addrs[1],
	} {
		t.Run(name, func(t *testing.T) {
			b := onSQLite(t)
			cache, count := b.on(t, url)
			require.NoError(t, cache.Ping(t.Context()))
			const customers = 20
			for i := range customers {
				profile, err := cache.Register(t.Context(), users.Registration{
					Email: fmt.Sprintf("c%d@example.com", i), Name: "Ada", Password: "correct horse battery",
				})
				require.NoError(t, err)
				for range 2 {
					_, err = cache.Profile(t.Context(), profile.ID)
					require.NoError(t, err)
				}
			}
			require.Equal(t, []float64{customers, customers, 0}, []float64{count("profile miss"), count("profile hit"), count("profile bypass")})
		})
	}
}

// A user of Redis needs five commands on our keys. Without one of them the cache says so, although PING is answered.
func TestAUserWithoutARightIsFoundOut(t *testing.T) {
	t.Parallel()
	addr, admin := testenv.RedisServer(t)
	commands := []string{"eval", "evalsha", "hget", "hset", "pexpire"}
	user := func(keys string, without string) string {
		name := "app" + without
		rules := []any{"ACL", "SETUSER", name, "reset", "on", ">s3cret", "~" + keys, "+ping"}
		for _, command := range commands {
			if command != without {
				rules = append(rules, "+"+command)
			}
		}
		require.NoError(t, admin.Do(t.Context(), rules...).Err())
		return "redis://" + name + ":s3cret@" + addr
	}
	cache, count := onSQLite(t).on(t, user("orderly:users:*", ""))
	require.NoError(t, cache.Ping(t.Context()))
	require.Zero(t, count("profile bypass"))
	for _, command := range commands {
		cache, _ := onSQLite(t).on(t, user("orderly:users:*", command))
		err := cache.Ping(t.Context())
		require.Error(t, err, command)
		refused := redis.HasErrorPrefix(err, "NOPERM ") || redis.HasErrorPrefix(err, "ACL failure in script") ||
			redis.HasErrorPrefix(err, "The user executing the script") // before 7.2
		require.True(t, refused, "%v", err)
	}
	other, _ := onSQLite(t).on(t, user("shop:*", ""))
	require.ErrorContains(t, other.Ping(t.Context()), "NOPERM")
}

// What can be read and not written is no cache: each read that the database had to answer for that reason is a bypass.
func TestACacheThatCannotBeWrittenIsABypass(t *testing.T) {
	t.Parallel()
	addr, admin := testenv.RedisServer(t)
	require.NoError(t, admin.Do(t.Context(), "ACL", "SETUSER", "reader", "on", ">s3cret", "~*", "+ping", "+hget").Err())
	replica, _ := testenv.RedisServer(t, "--replicaof", strings.ReplaceAll(addr, ":", " "))
	full, fullAdmin := testenv.RedisServer(t)
	require.NoError(t, fullAdmin.ConfigSet(t.Context(), "maxmemory", "1").Err())
	for name, url := range map[string]string{
		"no right to write": "redis://reader:s3cret@" + addr, "a replica": "redis://" + replica, "no memory": "redis://" + full,
	} {
		t.Run(name, func(t *testing.T) {
			b := onSQLite(t)
			cache, count := b.on(t, url)
			require.Error(t, cache.Ping(t.Context()))
			profile, err := b.service.Register(t.Context(), users.Registration{Email: "ada@example.com", Name: "Ada", Password: "correct horse battery"})
			require.NoError(t, err)
			token, _, err := b.service.IssueSession(t.Context(), profile.ID)
			require.NoError(t, err)
			for range 3 {
				_, err = cache.Profile(context.Background(), profile.ID)
				require.NoError(t, err)
				_, err = cache.Authenticate(context.Background(), token)
				require.NoError(t, err)
			}
			require.Equal(t, []float64{3, 3}, []float64{count("profile bypass"), count("session bypass")})
		})
	}
}
