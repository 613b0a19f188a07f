package users

import (
	"context"
	"errors"
	"sync"

	"github.com/redis/go-redis/v9"
)

// single is a client that was given one server. Where this turns out to be a node of a cluster, the client goes on as one of the cluster.
type single struct {
	*redis.Client
	follow *follow
}

// Close closes the connections to the server and to the cluster it belongs to.
func (s single) Close() error { return errors.Join(s.Client.Close(), s.follow.close()) }

// follow is a redis.Hook that asks the cluster, once a server has answered that another node has the key. Without it two thirds of the
// keys of a cluster of three would never be found, while the server itself is up.
type follow struct {
	options *redis.Options

	mu      sync.Mutex
	cluster *redis.ClusterClient // nil until the first redirection
	closed  bool
}

// DialHook implements redis.Hook.
func (f *follow) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook implements redis.Hook.
func (f *follow) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		cluster := f.to(false)
		if cluster == nil {
			err := next(ctx, cmd)
			if !redis.HasErrorPrefix(err, "MOVED ") && !redis.HasErrorPrefix(err, "ASK ") {
				return err
			}
			if cluster = f.to(true); cluster == nil {
				return err
			}
			cmd.SetErr(nil)
		}
		return cluster.Process(ctx, cmd)
	}
}

// ProcessPipelineHook implements redis.Hook. The cache sends no pipelines.
func (f *follow) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// to returns the client of the cluster; nil where there is none, or where the client is closed.
func (f *follow) to(open bool) *redis.ClusterClient {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.cluster == nil && open && !f.closed {
		o := f.options
		f.cluster = newCluster(&redis.ClusterOptions{
			Addrs: []string{o.Addr}, Username: o.Username, Password: o.Password, TLSConfig: o.TLSConfig, Protocol: o.Protocol,
			PoolSize: o.PoolSize, MinIdleConns: o.MinIdleConns, ConnMaxIdleTime: o.ConnMaxIdleTime, ConnMaxLifetime: o.ConnMaxLifetime,
		})
	}
	return f.cluster
}

func (f *follow) close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	if f.cluster == nil {
		return nil
	}
	return f.cluster.Close()
}
