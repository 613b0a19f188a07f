package limit_test

import (
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/limit"
	"example.com/orderly/internal/testenv"
)

type clock struct {
	mu sync.Mutex
	at time.Time
	// set is told of each change.
	set func(time.Time)
}

func newClock() *clock {
	return &clock{at: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), set: func(time.Time) {}}
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
	c.set(c.at)
}

// taker is a way to count whose time a test can move.
type taker struct {
	take func(name, key string, rate limit.Rate, n int) limit.Verdict
	add  func(time.Duration)
	// slack is how far the time may have moved by itself.
	slack time.Duration
}

// takers are all ways to count. The time of a real server can't be moved, so what a test adds to it is slept for in the rate's stead: its
// tests use other rates.
func takers() map[string]func(t *testing.T) taker {
	return map[string]func(t *testing.T) taker{
		"memory": func(*testing.T) taker {
			c := newClock()
			return taker{take: limit.NewMemory(c.now).Take, add: c.add}
		},
		"miniredis": func(t *testing.T) taker {
			server := miniredis.RunT(t)
			c := newClock()
			c.set = func(at time.Time) { server.SetTime(at) }
			c.add(0)
			rdb := redis.NewClient(&redis.Options{Addr: server.Addr(), DisableIdentity: true})
			t.Cleanup(func() { _ = rdb.Close() })
			return taker{take: onRedis(t, rdb), add: func(d time.Duration) { c.add(d); server.FastForward(d) }}
		},
		"redis": func(t *testing.T) taker {
			_, rdb := testenv.RedisServer(t)
			return taker{take: onRedis(t, rdb), slack: 30 * time.Second}
		},
		"redis cluster": func(t *testing.T) taker {
			addrs, _ := testenv.RedisCluster(t)
			rdb := redis.NewClusterClient(&redis.ClusterOptions{Addrs: addrs, DisableIdentity: true})
			t.Cleanup(func() { _ = rdb.Close() })
			return taker{take: onRedis(t, rdb), slack: 30 * time.Second}
		},
	}
}

func onRedis(t *testing.T, rdb redis.UniversalClient) func(name, key string, rate limit.Rate, n int) limit.Verdict {
	counts := limit.NewRedis(rdb, "orderly:limits:", nil)
	return func(name, key string, rate limit.Rate, n int) limit.Verdict {
		verdict, err := counts.Take(t.Context(), name, key, rate, n)
		require.NoError(t, err)
		return verdict
	}
}

// Each way to count does the same.
func TestCounting(t *testing.T) {
	t.Parallel()
	for name, open := range takers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			with := open(t)
			for rule, test := range rules {
				t.Run(rule, func(t *testing.T) {
					own := with
					own.take = func(name, key string, rate limit.Rate, n int) limit.Verdict {
						return with.take(strings.ReplaceAll(rule, " ", "-")+name, key, rate, n)
					}
					test(t, own)
				})
			}
		})
	}
}

// rules are what each way to count is held to.
var rules = map[string]func(t *testing.T, with taker){
	"a burst and then no more":                        aBurstAndThenNoMore,
	"more than is left is refused as a whole":         moreThanIsLeft,
	"asking takes nothing and giving back does":       askingAndGivingBack,
	"a long key is a key":                             aLongKey,
	"many at once share a burst":                      manyAtOnce,
	"one comes back at a time":                        oneComesBack,
	"a clock that was set back shuts no key for ever": aClockSetBack,
}

// hourly is a rate of which a test sees nothing come back by itself.
var hourly = limit.Rate{Burst: 4, Per: 4 * time.Hour}

func aBurstAndThenNoMore(t *testing.T, with taker) {
	for left := 3; left >= 0; left-- {
		v := with.take("logins", "a", hourly, 1)
		require.True(t, v.Allowed)
		require.Equal(t, left, v.Remaining)
		require.Zero(t, v.RetryAfter)
		require.InDelta(t, time.Duration(4-left)*time.Hour, v.ResetAfter, float64(with.slack))
	}
	for range 3 { // a refusal costs nothing
		v := with.take("logins", "a", hourly, 1)
		require.False(t, v.Allowed)
		require.Zero(t, v.Remaining)
		require.InDelta(t, time.Hour, v.RetryAfter, float64(with.slack))
		require.InDelta(t, 4*time.Hour, v.ResetAfter, float64(with.slack))
	}
	require.True(t, with.take("logins", "b", hourly, 1).Allowed, "another key")
	require.True(t, with.take("orders", "a", hourly, 1).Allowed, "another limit")
}

func moreThanIsLeft(t *testing.T, with taker) {
	require.True(t, with.take("logins", "a", hourly, 3).Allowed)
	v := with.take("logins", "a", hourly, 2)
	require.False(t, v.Allowed)
	require.Equal(t, 1, v.Remaining)
	require.InDelta(t, time.Hour, v.RetryAfter, float64(with.slack))
	require.True(t, with.take("logins", "a", hourly, 1).Allowed)
}

func askingAndGivingBack(t *testing.T, with taker) {
	require.True(t, with.take("logins", "a", hourly, 4).Allowed)
	require.Zero(t, with.take("logins", "a", hourly, 0).Remaining)
	require.Equal(t, 1, with.take("logins", "a", hourly, -1).Remaining)
	require.Equal(t, 1, with.take("logins", "a", hourly, 0).Remaining)
	require.Equal(t, 4, with.take("logins", "a", hourly, -100).Remaining, "no more is given back than was taken")
	require.False(t, with.take("logins", "a", hourly, 5).Allowed)
	require.Equal(t, 4, with.take("logins", "unknown", hourly, 0).Remaining)
}

func aLongKey(t *testing.T, with taker) {
	long := string(make([]byte, 100_000))
	require.True(t, with.take("logins", long, hourly, 4).Allowed)
	require.False(t, with.take("logins", long, hourly, 1).Allowed)
	require.True(t, with.take("logins", long+"\n", hourly, 1).Allowed)
}

// At one moment no more get through than the burst.
func manyAtOnce(t *testing.T, with taker) {
	var all sync.WaitGroup
	var allowed atomic.Int64
	for range 16 {
		all.Go(func() {
			for range 4 {
				if with.take("logins", "a", hourly, 1).Allowed {
					allowed.Add(1)
				}
			}
		})
	}
	all.Wait()
	require.EqualValues(t, hourly.Burst, allowed.Load())
}

func oneComesBack(t *testing.T, with taker) {
	if with.add == nil {
		t.Skip("not run: the time of a real server can't be moved; miniredis runs the same script")
	}
	require.True(t, with.take("logins", "a", hourly, 4).Allowed)
	with.add(time.Hour - time.Millisecond)
	require.Equal(t, time.Millisecond, with.take("logins", "a", hourly, 1).RetryAfter)
	with.add(time.Millisecond)
	require.True(t, with.take("logins", "a", hourly, 1).Allowed)
	require.False(t, with.take("logins", "a", hourly, 1).Allowed)
	with.add(100 * time.Hour)
	require.False(t, with.take("logins", "a", hourly, 5).Allowed, "a rest saves up no more than a burst")
	require.True(t, with.take("logins", "a", hourly, 4).Allowed)
}

// A clock that was set back does not shut a key for longer than its whole burst takes.
func aClockSetBack(t *testing.T, with taker) {
	if with.add == nil {
		t.Skip("not run: the time of a real server can't be moved; miniredis runs the same script")
	}
	require.True(t, with.take("logins", "a", hourly, 4).Allowed)
	with.add(-1000 * time.Hour)
	require.Equal(t, time.Hour, with.take("logins", "a", hourly, 1).RetryAfter)
}

// What Redis says is what memory says, to the microsecond.
func TestRedisAndMemoryAgree(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	memory, inRedis := takers()["memory"](t), takers()["miniredis"](t)
	rates := []limit.Rate{hourly, {Burst: 7, Per: time.Minute}, {Burst: 1, Per: time.Second}, {Burst: 999, Per: time.Hour}}
	for i := range 2000 {
		rate := random.IntN(len(rates))
		name, n := string(rune('a'+rate)), random.IntN(6)-1
		require.Equal(t, memory.take(name, "k", rates[rate], n), inRedis.take(name, "k", rates[rate], n), "step %d, %v, %d", i, rates[rate], n)
		d := time.Duration(random.IntN(20_000_000)) * time.Microsecond
		memory.add(d)
		inRedis.add(d)
	}
}
