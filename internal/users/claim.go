package users

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/singleflight"

	"example.com/orderly/internal/system"
)

const (
	// claimAge is how long the answer to which system the entries are of is believed. Redis may evict the claim, or be replaced by another.
	claimAge = time.Minute
	// claimLife is how long a claim outlives the latest process that asked: longer than any entry, so that none is left without one.
	claimLife = 24 * time.Hour
)

// claimFor claims the entries for a system, unless another has, and returns whose they are. A script, so that no command is needed that the
// cache does not need anyway; SET NX would be another right of the user.
var claimFor = redis.NewScript(`
local have = redis.call('HGET', KEYS[1], 'id')
if have and have ~= ARGV[1] then return have end
redis.call('HSET', KEYS[1], 'id', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return ARGV[1]
`)

// adoptFor gives the entries to a system in place of the one that is given up, and returns whose they are then.
var adoptFor = redis.NewScript(`
local have = redis.call('HGET', KEYS[1], 'id')
if have and have ~= ARGV[3] then return have end
redis.call('HSET', KEYS[1], 'id', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return ARGV[1]
`)

// claim is what is known about whose the entries in Redis are.
type claim struct {
	rdb    redis.UniversalClient
	prefix string
	ours   system.ID // empty: nothing is claimed or asked
	now    func() time.Time
	log    *slog.Logger
	asking singleflight.Group

	mu      sync.Mutex
	until   time.Time // the answer below is believed until then
	refusal error     // nil where they are ours
}

func (c *claim) key() string { return c.prefix + "system" }

// holds returns nil where the entries are ours. It asks Redis where the latest answer is too old, once for all who want to know.
func (c *claim) holds(ctx context.Context) error {
	if c.ours == "" {
		return nil
	}
	c.mu.Lock()
	refusal, known := c.refusal, c.now().Before(c.until)
	c.mu.Unlock()
	if known {
		return refusal
	}
	_, err, _ := c.asking.Do("", func() (any, error) { return nil, c.ask(ctx) })
	return err
}

// ask claims the entries, and returns nil where they are ours.
func (c *claim) ask(ctx context.Context) error {
	ctx, cancel := detached(ctx, redisPatience)
	defer cancel()
	whose, err := claimFor.Run(ctx, c.rdb, []string{c.key()}, string(c.ours), claimLife.Milliseconds()).Text()
	if err != nil {
		return fmt.Errorf("ask Redis which system it serves: %w", err)
	}
	return c.learn(system.ID(whose))
}

func (c *claim) learn(whose system.ID) error {
	var refusal error
	if whose != c.ours {
		refusal = &system.OtherError{
			Place: fmt.Sprintf("ORDERLY_REDIS_PREFIX: Redis (REDIS_URL) with its keys %s*", c.prefix), Bears: whose, Ours: c.ours,
			Remedy: "name another prefix, or another database of Redis",
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if refusal != nil && c.refusal == nil {
		c.log.Error("the cache is not used: it serves another system", "error", refusal)
	}
	c.refusal, c.until = refusal, c.now().Add(claimAge)
	return refusal
}

// met takes note of what came of a command: after one that was not answered, another Redis may be there.
func (c *claim) met(err error) {
	if reply := redis.Error(nil); err == nil || errors.As(err, &reply) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.until = time.Time{}
}

// Claimed returns nil where what is in Redis is of our system; a system.OtherError where it is another's. It asks Redis once a minute.
func (c *Cache) Claimed(ctx context.Context) error { return c.entries.claim.holds(ctx) }

// Serves returns which system the cached entries are of; empty where there is no Redis, or no system has claimed it. It claims nothing.
func (c *Cache) Serves(ctx context.Context) (system.ID, error) {
	if c.rdb == nil {
		return "", nil
	}
	ctx, cancel := detached(ctx, redisPatience)
	defer cancel()
	whose, err := c.rdb.HGet(ctx, c.entries.claim.key(), "id").Result()
	if errors.Is(err, redis.Nil) {
		return "", nil
	}
	return system.ID(whose), err
}

// Adopt makes the cache serve our system in place of giveUp. The error is a system.OtherError where it serves neither.
func (c *Cache) Adopt(ctx context.Context, giveUp system.ID) error {
	ctx, cancel := detached(ctx, redisPatience)
	defer cancel()
	own := c.entries.claim
	whose, err := adoptFor.Run(ctx, c.rdb, []string{own.key()}, string(own.ours), claimLife.Milliseconds(), string(giveUp)).Text()
	if err != nil {
		return err
	}
	return own.learn(system.ID(whose))
}
