package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/redis/go-redis/v9"

	"example.com/orderly/internal/embedded"
	"example.com/orderly/internal/limit"
	"example.com/orderly/internal/node/config"
	"example.com/orderly/internal/system"
	"example.com/orderly/internal/users"
)

// openCache opens the Redis of REDIS_URL, or under develop one of this process. It returns nil where there is none: a process that
// embedded one beside others would not see what they change.
func openCache(p process) (redis.UniversalClient, error) {
	at := p.cfg.RedisURL
	switch {
	case at == "" && !p.develop:
		p.say("Running without a cache: REDIS_URL is not set.")
		return nil, nil
	case at == "":
		server, err := embedded.StartRedis()
		if err != nil {
			return nil, err
		}
		p.closers.Add(func() error { server.Stop(); return nil })
		at = "redis://" + server.Addr()
	}
	redis.SetLogger(redisLog{p.log})
	client, err := users.NewRedis(at)
	if err != nil {
		return nil, fmt.Errorf("REDIS_URL is malformed: %w", err)
	}
	p.closers.Add(client.Close)
	return client, nil
}

// redisRefusals are the beginnings of errors by which Redis refuses a client, because of what REDIS_URL says. After any other error (a full
// disk, a script that blocks it, a start that is not finished) a later command can succeed.
var redisRefusals = []string{
	"NOAUTH ", "WRONGPASS ", "NOPERM ", "AUTH ", "Client sent AUTH", "invalid password", "DB index", "invalid DB index",
	"SELECT is not allowed in cluster mode", "ACL failure in script", "The user executing the script", "unknown command",
}

// redisPrefix is how all keys in Redis begin.
func redisPrefix(cfg config.Config) string { return cmp.Or(cfg.RedisPrefix, "orderly") }

// cachePrefix is how the keys of the cache begin.
func cachePrefix(cfg config.Config) string { return redisPrefix(cfg) + ":users:" }

// checkRedis returns an error where Redis refuses what the cache or the limits ask of it, or serves another system. A Redis that does not answer
// is only reported: the process runs without a cache, and counts limits by itself.
func checkRedis(ctx context.Context, p process, rdb redis.UniversalClient, cache *users.Cache) error {
	err := cache.Ping(ctx)
	if err == nil && rdb != nil {
		err = limit.NewRedis(rdb, p.limitPrefix(), nil).Ping(ctx)
	}
	if err == nil || errors.As(err, new(*system.OtherError)) {
		return err
	}
	for _, begins := range redisRefusals {
		if redis.HasErrorPrefix(err, begins) {
			return fmt.Errorf("REDIS_URL: Redis refuses us (%w); check the user, the password, the number at the end (0 in a cluster), and the "+
				"rights: EVAL, EVALSHA, HGET, HSET, PEXPIRE and TIME, on the keys %s* and %s*", err, cachePrefix(p.cfg), p.limitPrefix())
		}
	}
	p.say("Redis does not answer (REDIS_URL), running without a cache until it does: " + err.Error())
	return nil
}

// redisLog takes what go-redis would print on stderr for every connection that fails. The cache's metrics and /readyz show that Redis is
// away.
type redisLog struct{ log *slog.Logger }

func (r redisLog) Printf(ctx context.Context, format string, args ...any) {
	r.log.DebugContext(ctx, "redis client", "said", fmt.Sprintf(format, args...))
}
