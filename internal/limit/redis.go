package limit

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// take is Rate.debt in Redis. The time is that of Redis: the clocks of the processes differ, and the one that is ahead would open the limit for
// all. A number of microseconds since 1970 fits into the 53 bits of a Lua number until the year 2255. An entry that can't be read, or that owes
// more than the whole burst, is replaced: only we write here, and only a clock that was set back can leave such a one.
var take = redis.NewScript(`
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local n, cost, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local owed = (tonumber(redis.call('HGET', KEYS[1], 'until')) or 0) - now
if not (owed > 0) then owed = 0 end
if owed > most then owed = most end
local after = math.max(0, owed + n * cost)
if n > 0 and after > most then return {owed, after - most} end
if n ~= 0 then
  redis.call('HSET', KEYS[1], 'until', string.format('%.0f', now + after))
  redis.call('PEXPIRE', KEYS[1], math.max(1, math.ceil(after / 1000)))
end
return {after, 0}
`)

// Redis counts in a Redis, so that all processes that share it share the limits. Safe for concurrent use.
type Redis struct {
	rdb    redis.UniversalClient
	prefix string
	ours   func(ctx context.Context) error
}

// NewRedis counts under keys that begin with prefix. Before each request ours is asked whether the entries there are of our system; nil asks
// nothing.
func NewRedis(rdb redis.UniversalClient, prefix string, ours func(ctx context.Context) error) *Redis {
	if ours == nil {
		ours = func(context.Context) error { return nil }
	}
	return &Redis{rdb: rdb, prefix: prefix, ours: ours}
}

// Take is Memory.Take. An error says that nothing is known, and that something may have been taken.
func (r *Redis) Take(ctx context.Context, name, key string, rate Rate, n int) (Verdict, error) {
	if err := r.ours(ctx); err != nil {
		return Verdict{}, err
	}
	answer, err := take.Run(ctx, r.rdb, []string{r.entry(name, key)}, n, rate.cost().Microseconds(), rate.most().Microseconds()).Int64Slice()
	if err != nil {
		return Verdict{}, fmt.Errorf("ask Redis for the limit %s: %w", name, err)
	}
	if len(answer) != 2 {
		return Verdict{}, errors.New("Redis gave another answer than the script of limits returns")
	}
	return rate.verdict(time.Duration(answer[0])*time.Microsecond, time.Duration(answer[1])*time.Microsecond), nil
}

// Ping asks Redis with the commands of Take, on a key of its own. A server that answers PING may still refuse them.
func (r *Redis) Ping(ctx context.Context) error {
	_, err := r.Take(ctx, "check", "check", Rate{Burst: 1, Per: minPer}, 1)
	return err
}

// entry is the key in Redis. What a limit counts by is hashed: it may be an e-mail address, or as long as a client likes.
func (r *Redis) entry(name, key string) string {
	sum := sha256.Sum256([]byte(key))
	return r.prefix + name + ":" + base64.RawURLEncoding.EncodeToString(sum[:16])
}
