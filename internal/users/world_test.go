package users_test

import (
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/database"
	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/outbox"
	"example.com/orderly/internal/testenv"
	"example.com/orderly/internal/users"
)

const password = "correct horse battery"

// clock stands still until it is moved.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// bundle is a users service on an empty database.
type bundle struct {
	db      *database.DB
	service *users.Service
	clock   *clock
}

func setup(open testenv.Open) bundle {
	db, clock := open("users", users.Migrations()...), newClock()
	return bundle{db, users.New(outbox.New(db, "users", clock.now), clock.now), clock}
}

func onSQLite(t *testing.T) bundle {
	return setup(func(service string, sets ...database.Migrations) *database.DB {
		return testenv.SQLite(t, service, sets...)
	})
}

func (b bundle) register(t *testing.T, email string) users.Profile {
	t.Helper()
	profile, err := b.service.Register(t.Context(), users.Registration{Email: email, Name: "Ada", Password: password})
	require.NoError(t, err)
	return profile
}

// events are the types announced about subject, in order.
func (b bundle) events(t *testing.T, subject string) []string {
	t.Helper()
	var types []string
	require.NoError(t, b.db.Select(t.Context(), &types,
		`SELECT event_type FROM outbox WHERE subject = ? ORDER BY sequence`, subject))
	return types
}

func (b bundle) count(t *testing.T, query string, args ...any) int {
	t.Helper()
	var n int
	require.NoError(t, b.db.Get(t.Context(), &n, query, args...))
	return n
}

// withoutSQL asserts that do runs no SQL statement.
func (b bundle) withoutSQL(t *testing.T, do func()) {
	t.Helper()
	before := b.db.Statements()
	do()
	require.Equal(t, before, b.db.Statements(), "this should not have asked the database")
}

func requireFault(t *testing.T, err error, kind fault.Kind, code string) {
	t.Helper()
	require.Error(t, err)
	require.Equal(t, kind, fault.KindOf(err), err)
	require.Equal(t, code, fault.CodeOf(err))
}

// server is a Redis that this test may lose: each client has a door of its own, which can be shut.
type server struct {
	addr   string
	mini   *miniredis.Miniredis // nil for a real Redis
	prefix string
}

// eachRedis runs test on miniredis and, where REDIS_URL is set, on a real Redis under a prefix of its own.
func eachRedis(t *testing.T, test func(t *testing.T, s server)) {
	t.Helper()
	t.Run("miniredis", func(t *testing.T) {
		t.Parallel()
		test(t, miniRedis(t))
	})
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		at := os.Getenv("REDIS_URL")
		if at == "" {
			testenv.Missing(t, "REDIS_URL", "redis://127.0.0.1:6379/0")
		}
		options, err := redis.ParseURL(at)
		require.NoError(t, err)
		s := server{addr: options.Addr, prefix: "orderly-test:" + rand.Text() + ":"}
		t.Cleanup(func() { s.empty(t) })
		test(t, s)
	})
}

func miniRedis(t *testing.T) server {
	mini := miniredis.RunT(t)
	return server{addr: mini.Addr(), mini: mini, prefix: "orderly-test:"}
}

// empty removes everything this test has in Redis.
func (s server) empty(t *testing.T) {
	t.Helper()
	ctx := context.Background()
	rdb := redis.NewClient(&redis.Options{Addr: s.addr})
	defer func() { require.NoError(t, rdb.Close()) }()
	if s.mini != nil {
		require.NoError(t, rdb.FlushAll(ctx).Err())
		return
	}
	for keys := rdb.Scan(ctx, 0, s.prefix+"*", 1000).Iterator(); keys.Next(ctx); {
		require.NoError(t, rdb.Del(ctx, keys.Val()).Err())
	}
}

// process is a cache as one process has it: its own client, its own way to Redis.
type process struct {
	*users.Cache
	door *door
	rdb  redis.UniversalClient
}

func (b bundle) process(t *testing.T, s server) process {
	t.Helper()
	d := newDoor(t, s.addr)
	rdb, err := users.NewRedis("redis://" + d.addr)
	require.NoError(t, err)
	cache := users.NewCache(rdb, b.service, users.CacheOptions{Prefix: s.prefix, Log: slog.New(slog.DiscardHandler)})
	t.Cleanup(func() {
		cache.Close()
		require.NoError(t, rdb.Close())
	})
	require.NoError(t, cache.ReadKeys(t.Context())) // so that a test that counts statements counts its own
	return process{cache, d, rdb}
}

// door is a TCP proxy that can be shut (connections are refused) or go silent (accepted, never answered).
type door struct {
	addr, behind string

	mu       sync.Mutex
	listener net.Listener
	conns    []net.Conn
	silent   bool
}

func newDoor(t *testing.T, behind string) *door {
	t.Helper()
	d := &door{addr: "127.0.0.1:0", behind: behind}
	d.open(t)
	t.Cleanup(d.shut)
	return d
}

func (d *door) open(t *testing.T) {
	t.Helper()
	d.shut()
	listener, err := net.Listen("tcp", d.addr)
	require.NoError(t, err)
	d.mu.Lock()
	d.listener, d.silent, d.addr = listener, false, listener.Addr().String()
	d.mu.Unlock()
	go d.serve(listener)
}

func (d *door) shut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.listener != nil {
		_ = d.listener.Close()
	}
	d.hangUp()
}

func (d *door) silence() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.silent = true
	d.hangUp()
}

func (d *door) hangUp() {
	for _, conn := range d.conns {
		_ = conn.Close()
	}
	d.conns = nil
}

func (d *door) serve(listener net.Listener) {
	for {
		front, err := listener.Accept()
		if err != nil {
			return
		}
		d.mu.Lock()
		if d.listener != listener {
			_ = front.Close()
			d.mu.Unlock()
			return
		}
		d.conns = append(d.conns, front)
		if !d.silent {
			back, err := net.Dial("tcp", d.behind)
			if err != nil {
				_ = front.Close()
			} else {
				d.conns = append(d.conns, back)
				go pass(front, back)
				go pass(back, front)
			}
		}
		d.mu.Unlock()
	}
}

func pass(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	_, _ = to.Close(), from.Close()
}

// hold stops each command for which stop says so until release is called; reached is closed when the first is there. What is
// held is sent even if its sender has long given up, as a slow network would.
type hold struct {
	stop    func(name string, args []any) bool
	once    sync.Once
	passing atomic.Bool
	reached chan struct{}
	free    chan struct{}
}

func holdBack(rdb redis.UniversalClient, stop func(name string, args []any) bool) *hold {
	h := &hold{stop: stop, reached: make(chan struct{}), free: make(chan struct{})}
	rdb.AddHook(h)
	return h
}

func (h *hold) release() { close(h.free) }

// passNext lets through what comes from now on; what is held stays held.
func (h *hold) passNext() { h.passing.Store(true) }

func (h *hold) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h *hold) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (h *hold) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if !h.passing.Load() && h.stop(cmd.Name(), cmd.Args()) {
			h.once.Do(func() { close(h.reached) })
			<-h.free
			ctx = context.Background()
		}
		return next(ctx, cmd)
	}
}

// writes tells the script calls that write a value under a key that ends with suffix; tombstones are not values.
func writes(suffix string) func(string, []any) bool {
	return func(name string, args []any) bool {
		if name != "evalsha" && name != "eval" {
			return false
		}
		key, payload := args[3].(string), args[5].(string)
		return strings.HasSuffix(key, suffix) && payload != ""
	}
}

func tombstones(name string, args []any) bool {
	return (name == "evalsha" || name == "eval") && args[5] == ""
}

// refusal fails the commands for which stop says so, while it is true.
type refusal struct {
	atomic.Bool
	stop func(name string, args []any) bool
}

func refuse(rdb redis.UniversalClient, stop func(name string, args []any) bool) *refusal {
	r := &refusal{stop: stop}
	r.Store(true)
	rdb.AddHook(r)
	return r
}

func (r *refusal) DialHook(next redis.DialHook) redis.DialHook { return next }

func (r *refusal) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (r *refusal) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if r.Load() && r.stop(cmd.Name(), cmd.Args()) {
			cmd.SetErr(io.ErrUnexpectedEOF)
			return io.ErrUnexpectedEOF
		}
		return next(ctx, cmd)
	}
}

func reads(suffix string) func(string, []any) bool {
	return func(name string, args []any) bool {
		return name == "hget" && strings.HasSuffix(args[1].(string), suffix)
	}
}

func sorted(words []string) []string {
	slices.Sort(words)
	return words
}
