package node

import (
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/node/config"
	"example.com/orderly/internal/outbox"
	"example.com/orderly/internal/testenv"
	"example.com/orderly/internal/users"
)

// At the start Redis is asked with the commands that the cache uses: a server that answers PING may refuse them for ever.
func TestRedisIsTriedAtTheStart(t *testing.T) {
	t.Parallel()
	addr, admin := testenv.RedisServer(t)
	require.NoError(t, admin.Do(t.Context(), "ACL", "SETUSER", "app", "on", ">s3cret", "~orderly:users:*", "~orderly:limits:*", "+eval", "+evalsha", "+hget", "+hset", "+pexpire", "+time").Err())
	require.NoError(t, admin.Do(t.Context(), "ACL", "SETUSER", "noscripts", "on", ">s3cret", "~*", "+@all", "-@scripting").Err())
	require.NoError(t, admin.Do(t.Context(), "ACL", "SETUSER", "readonly", "on", ">s3cret", "~*", "+@all", "-@write").Err())
	require.NoError(t, admin.Do(t.Context(), "ACL", "SETUSER", "before", "on", ">s3cret", "~orderly:users:*", "+eval", "+evalsha", "+hget", "+hset", "+pexpire").Err())
	require.NoError(t, admin.Do(t.Context(), "ACL", "SETUSER", "timeless", "on", ">s3cret", "~orderly:*", "+eval", "+evalsha", "+hget", "+hset", "+pexpire").Err())
	theirs, client := testenv.RedisServer(t)
	require.NoError(t, client.HSet(t.Context(), "orderly:users:system", "id", "theirs").Err())
	cluster, _ := testenv.RedisCluster(t)
	for name, c := range map[string]struct{ url, refused, said string }{
		"enough rights":              {"redis://app:s3cret@" + addr, "", ""},
		"rights for the cache alone": {"redis://before:s3cret@" + addr, "orderly:limits:*", ""},
		"no right to ask the time":   {"redis://timeless:s3cret@" + addr, "TIME", ""},
		"no scripts":                 {"redis://noscripts:s3cret@" + addr, "EVALSHA", ""},
		"no writes in a script":      {"redis://readonly:s3cret@" + addr, "HSET", ""},
		"a cluster":                  {"redis://" + cluster[0], "", ""},
		"a number in a cluster":      {"redis://" + cluster[0] + "/3", "0 in a cluster", ""},
		"several nodes of a cluster": {"redis://" + cluster[0] + "?addr=" + cluster[1], "", ""},
		"another system's":           {"redis://" + theirs, "serves system theirs, and these databases belong to system ours", ""},
		"nothing there":              {"redis://127.0.0.1:1", "", "running without a cache"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var said string
			p := newProcess(config.Config{RedisURL: c.url}, false, slog.New(slog.DiscardHandler), func(line string) { said += line })
			t.Cleanup(func() { require.NoError(t, p.closers.Close()) })
			rdb, err := openCache(p)
			require.NoError(t, err)
			cache := users.NewCache(rdb, users.New(outbox.New(testenv.SQLite(t, "users", users.Migrations()...), "users", p.now), p.now), users.CacheOptions{System: "ours", Log: p.log})
			err = checkRedis(t.Context(), p, rdb, cache)
			if c.refused == "" {
				require.NoError(t, err)
				require.Contains(t, said, c.said)
				return
			}
			require.ErrorContains(t, err, "REDIS_URL")
			require.ErrorContains(t, err, c.refused)
			require.NotContains(t, err.Error(), "s3cret")
		})
	}
}
