package main

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"strings"

	"go.temporal.io/api/workflowservice/v1"
)

// describe prints what the figures depend on, and which way of each unit is better, as benchstat reads them. What differs from run to run,
// such as names, is left out: benchstat compares only runs whose environment is the same.
func (b *bench) describe(ctx context.Context, lines io.Writer) error {
	engine, err := b.node.Database.Describe(ctx)
	if err != nil {
		return err
	}
	cluster, err := b.node.Temporal.WorkflowService().GetClusterInfo(ctx, &workflowservice.GetClusterInfoRequest{})
	if err != nil {
		return fmt.Errorf("ask Temporal what it is: %w", err)
	}
	broker := "none, from outbox to inbox inside this process"
	if b.sys.cfg.RabbitMQURL != "" {
		broker = "RabbitMQ"
	}
	_, err = fmt.Fprintf(lines, `goos: %s
goarch: %s
pkg: example.com/orderly/cmd/orderly-bench
cpus: %d, GOMAXPROCS %d, %s
databases: %s
temporal: %s on %s, %d history shards
broker: %s
cache: %s
load: %d orders a round, %d clients for rates, %d for latencies; clients, workers and what is embedded share this machine
Unit ops/s better=higher
`, runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.GOMAXPROCS(0), runtime.Version(), engine,
		cluster.GetServerVersion(), cluster.GetPersistenceStore(), cluster.GetHistoryShardCount(), broker, b.redisVersion(ctx),
		b.orders, b.inFlight, b.concurrency)
	return err
}

// redisVersion is the version of the cache, as far as it tells.
func (b *bench) redisVersion(ctx context.Context) string {
	if b.sys.cfg.RedisURL == "" {
		return "miniredis, inside this process"
	}
	told, _ := b.node.Cache.Info(ctx, "server").Result()
	for line := range strings.Lines(told) {
		if version, ok := strings.CutPrefix(strings.TrimSpace(line), "redis_version:"); ok {
			return "Redis " + version
		}
	}
	return "a Redis server that does not tell its version"
}
