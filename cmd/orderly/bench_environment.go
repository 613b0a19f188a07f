package main

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"

	"go.temporal.io/api/enums/v1"
	taskqueue "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"

	"example.com/orderly/internal/embedded"
	"example.com/orderly/internal/measure"
	"example.com/orderly/internal/yardstick"
	"example.com/orderly/workers"
)

const limitsUntold = "not told by the server's API; look at its dynamic configuration (frontend.namespaceRPS, history.rps, ...)"

// describe says where a private stack runs, before anything is measured.
func (b *bench) describe(ctx context.Context, s *stack, broker *yardstick.Broker) error {
	b.describeMachine()
	engine, err := s.databases["orders"].Describe(ctx)
	if err != nil {
		return err
	}
	b.fact("databases", engine)
	events := "from outbox to inbox, inside this process"
	if broker != nil {
		events = broker.Version()
	}
	b.fact("events", events)
	b.fact("cache", s.describeRedis(ctx))
	b.fact("payment provider", "the sandbox, inside this process")
	if err := b.describeTemporal(ctx, s.temporal.Namespace()); err != nil {
		return err
	}
	limits := limitsUntold
	if s.cfg.TemporalAddress == "" {
		lifted := embedded.RateLimits()
		var parts []string
		for _, name := range slices.Sorted(maps.Keys(lifted)) {
			parts = append(parts, name+" "+lifted[name])
		}
		limits = strings.Join(parts, ", ")
	}
	b.fact("rate limits", limits)
	return measure.Facts(b.progress, b.report.Environment)
}

func (b *bench) describeMachine() {
	b.fact("machine", fmt.Sprintf("%s/%s, %d CPUs, GOMAXPROCS %d, %s",
		runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.GOMAXPROCS(0), runtime.Version()))
	b.fact("load", fmt.Sprintf("%d rounds of %d orders and as many empty workflows; %d clients for rates, %d for latencies; clients, "+
		"workers and everything embedded share this machine", b.rounds, b.orders, b.inFlight, b.concurrency))
}

// describeTemporal tells what the server says of itself and of those that poll it.
func (b *bench) describeTemporal(ctx context.Context, namespace string) error {
	service := b.temporal.WorkflowService()
	cluster, err := service.GetClusterInfo(ctx, &workflowservice.GetClusterInfoRequest{})
	if err != nil {
		return fmt.Errorf("ask Temporal what it is: %w", err)
	}
	b.fact("Temporal", fmt.Sprintf("server %s on %s, history shards: %d, namespace %s",
		cluster.GetServerVersion(), cluster.GetPersistenceStore(), cluster.GetHistoryShardCount(), namespace))
	partitions, err := service.ListTaskQueuePartitions(ctx, &workflowservice.ListTaskQueuePartitionsRequest{
		Namespace: namespace, TaskQueue: &taskqueue.TaskQueue{Name: b.name},
	})
	if err != nil {
		return fmt.Errorf("ask Temporal for the partitions of a task queue: %w", err)
	}
	described, err := b.temporal.DescribeTaskQueue(ctx, b.name, enums.TASK_QUEUE_TYPE_WORKFLOW)
	if err != nil {
		return fmt.Errorf("ask Temporal who polls a task queue: %w", err)
	}
	b.fact("task queues", fmt.Sprintf("partitions of each: %d, polled by processes: %d",
		len(partitions.GetWorkflowTaskQueuePartitions()), len(described.GetPollers())))
	b.fact("pollers of a worker", fmt.Sprintf("%d for workflow tasks, %d for activities; the same for orders and for the empty workflow",
		workers.Pollers, workers.Pollers))
	return nil
}

// describeRedis is the version of the cache, as far as it tells.
func (s *stack) describeRedis(ctx context.Context) string {
	if s.cfg.RedisURL == "" {
		return "miniredis, inside this process"
	}
	told, err := s.redis.Info(ctx, "server").Result()
	if err != nil {
		return "a Redis server that does not tell its version"
	}
	for line := range strings.Lines(told) {
		if version, ok := strings.CutPrefix(strings.TrimSpace(line), "redis_version:"); ok {
			return "Redis " + version
		}
	}
	return "a Redis server"
}
