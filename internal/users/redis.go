package users

import (
	"context"
	"errors"
	"net/url"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

const (
	// redisPatience bounds one exchange with Redis: dialling, writing or reading. Asking the database instead costs less.
	redisPatience = 250 * time.Millisecond
	// After so many failures in a row Redis is left alone, and asked again once per pause.
	breakerFailures = 5
	breakerPause    = time.Second
)

// NewRedis returns a client for a cache on the Redis that a URL names: a server (redis://, rediss:// or unix://), which may be a node of a cluster, or
// several nodes of a cluster (redis://host1:6379?addr=host2:6379&addr=host3:6379). It gives up quickly, sends nothing twice to a server,
// and stops asking one that does not answer. No connection is made yet, so it works with the server down. The error never quotes the
// URL, which may hold a password. Callers close the client with Close.
func NewRedis(at string) (redis.UniversalClient, error) {
	malformed := errors.New("the Redis URL cannot be read: it must look like redis://host:6379/0, or redis://host1:6379?addr=host2:6379 for a cluster")
	if nodes(at) {
		options, err := redis.ParseClusterURL(at)
		if err != nil {
			return nil, malformed
		}
		cluster := newCluster(options)
		cluster.AddHook(&breaker{now: time.Now})
		return cluster, nil
	}
	options, err := redis.ParseURL(at)
	if err != nil {
		return nil, malformed
	}
	options.ContextTimeoutEnabled = true // without it a context bounds nothing
	options.DialTimeout = redisPatience
	options.ReadTimeout = redisPatience
	options.WriteTimeout = redisPatience
	options.PoolTimeout = redisPatience
	options.MaxRetries = -1
	options.DialerRetries = 1
	options.PipelinePoolSize = -1
	options.DisableIdentity = true
	options.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	client := redis.NewClient(options)
	client.AddHook(&breaker{now: time.Now}) // the outer one, which also sees what the cluster answers
	behind := &follow{options: options}
	client.AddHook(behind)
	return single{client, behind}, nil
}

// nodes reports whether the URL names more than one server.
func nodes(at string) bool {
	u, err := url.Parse(at)
	return err == nil && u.Query().Has("addr")
}

// newCluster is redis.NewClusterClient with the patience of a cache. A command that a node redirects is sent to the other one.
func newCluster(options *redis.ClusterOptions) *redis.ClusterClient {
	options.ContextTimeoutEnabled = true
	options.DialTimeout = redisPatience
	options.ReadTimeout = redisPatience
	options.WriteTimeout = redisPatience
	options.PoolTimeout = redisPatience
	options.MaxRetries = -1
	options.DialerRetries = 1
	options.PipelinePoolSize = -1
	options.DisableIdentity = true
	options.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return redis.NewClusterClient(options)
}

var errBreakerOpen = errors.New("redis failed repeatedly and is left alone for a moment")

// breaker is a redis.Hook that refuses at once what would most likely time out. While it is open it lets one command through
// per pause; the first one that is answered closes it. It is not a redis.Limiter because that one is also asked about the
// handshake of a new connection, without being told whose it is: it would refuse the handshake of its own trial.
type breaker struct {
	now func() time.Time

	mu       sync.Mutex
	failures int
	retryAt  time.Time
}

// admitted marks the context of a command that was let through; the handshake it may need runs under it.
type admitted struct{}

// DialHook implements redis.Hook.
func (b *breaker) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook implements redis.Hook.
func (b *breaker) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := b.guard(ctx, func(ctx context.Context) error { return next(ctx, cmd) })
		if errors.Is(err, errBreakerOpen) {
			cmd.SetErr(err)
		}
		return err
	}
}

// ProcessPipelineHook implements redis.Hook.
func (b *breaker) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := b.guard(ctx, func(ctx context.Context) error { return next(ctx, cmds) })
		if errors.Is(err, errBreakerOpen) {
			for _, cmd := range cmds {
				cmd.SetErr(err)
			}
		}
		return err
	}
}

func (b *breaker) guard(ctx context.Context, do func(ctx context.Context) error) error {
	if ctx.Value(admitted{}) != nil {
		return do(ctx)
	}
	if err := b.allow(); err != nil {
		return err
	}
	err := do(context.WithValue(ctx, admitted{}, true))
	b.report(err)
	return err
}

func (b *breaker) allow() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failures < breakerFailures {
		return nil
	}
	now := b.now()
	if now.Before(b.retryAt) {
		return errBreakerOpen
	}
	b.retryAt = now.Add(breakerPause)
	return nil
}

func (b *breaker) report(err error) {
	if errors.Is(err, redis.ErrPoolTimeout) || errors.Is(err, redis.ErrPoolExhausted) || errors.Is(err, context.Canceled) {
		return // our doing, which says nothing about the server
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	var reply redis.Error
	if err == nil || errors.As(err, &reply) { // an error reply is an answer too
		b.failures = 0
		return
	}
	b.failures++
	if b.failures >= breakerFailures {
		b.retryAt = b.now().Add(breakerPause)
	}
}
