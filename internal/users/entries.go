package users

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// tombstone is the payload of an entry that only says: nothing older than this version. It bears no seal, since a reader asks the database. Of a
// session that was revoked there is a sealed one, which spares the database that; releases before took an empty one for it.
const tombstone = ""

// putNewer writes an entry unless a newer one is there. A tombstone does not replace what has its own version: that is the
// very value it asks for.
var putNewer = redis.NewScript(`
local have = redis.call('HGET', KEYS[1], 'version')
if have then
  have = tonumber(have)
  local new = tonumber(ARGV[1])
  if have > new or (have == new and ARGV[2] == '') then return 0 end
end
redis.call('HSET', KEYS[1], 'version', ARGV[1], 'payload', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
`)

// entries are versioned values in Redis. The version is not part of the payload, so that releases whose payloads differ still
// respect each other's versions.
type entries struct {
	rdb   redis.UniversalClient
	claim *claim
}

// get returns the payload under key, empty where there is no entry. Entries of another system are an error.
func (e entries) get(ctx context.Context, key string) (payload string, err error) {
	if err := e.claim.holds(ctx); err != nil {
		return "", err
	}
	ctx, cancel := detached(ctx, redisPatience)
	defer cancel()
	payload, err = e.rdb.HGet(ctx, key, "payload").Result()
	e.claim.met(err)
	if errors.Is(err, redis.Nil) {
		return "", nil
	}
	return payload, err
}

// put writes the entry for at most ttl and reports whether it is there now: not when a newer one was.
func (e entries) put(ctx context.Context, key string, version int64, payload string, ttl time.Duration) (bool, error) {
	if err := e.claim.holds(ctx); err != nil {
		return false, err
	}
	ctx, cancel := detached(ctx, redisPatience)
	defer cancel()
	written, err := putNewer.Run(ctx, e.rdb, []string{key}, strconv.FormatInt(version, 10), payload, max(ttl.Milliseconds(), 1)).Int()
	e.claim.met(err)
	if err != nil {
		return false, fmt.Errorf("write %s: %w", key, err)
	}
	return written == 1, nil
}

// check puts an entry under each of the keys and reads it, with every command that the cache uses.
func (e entries) check(ctx context.Context, keys ...string) error {
	for _, key := range keys {
		// EVAL by itself, since EVALSHA is enough where another client has brought the script.
		args := []any{"1", "checked", time.Minute.Milliseconds()}
		if err := e.within(ctx, func(ctx context.Context) error { return putNewer.Eval(ctx, e.rdb, []string{key}, args...).Err() }); err != nil {
			return err
		}
		if _, err := e.put(ctx, key, 1, "checked", time.Minute); err != nil {
			return err
		}
		if _, err := e.get(ctx, key); err != nil {
			return err
		}
	}
	return nil
}

func (entries) within(ctx context.Context, do func(ctx context.Context) error) error {
	ctx, cancel := detached(ctx, redisPatience)
	defer cancel()
	return do(ctx)
}

// detached is a context that keeps ctx's values and ends after patience, also when ctx ends before: a caller that leaves must
// neither keep an invalidation from being sent nor look like a failure of Redis.
func detached(ctx context.Context, patience time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), patience)
}
