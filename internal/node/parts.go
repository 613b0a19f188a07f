package node

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/worker"

	"example.com/orderly/activities"
	"example.com/orderly/internal/node/lifecycle"
	"example.com/orderly/workers"
)

// run runs every part until ctx ends, stops them in reverse order, and closes what was opened. API, workers, relay,
// listeners, provider, Temporal: each is still there for those that stop before it. more is stopped first.
func (s *Stack) Run(ctx context.Context, more ...lifecycle.Part) error {
	var parts []lifecycle.Part
	when := func(needed bool, name string, run func(ctx context.Context) error) {
		if needed {
			parts = append(parts, lifecycle.Part{Name: name, Run: run})
		}
	}
	when(s.temporal != nil, "temporal", func(ctx context.Context) error { return s.temporal.Run(ctx) })
	when(s.sandbox != nil, "sandbox provider", func(ctx context.Context) error {
		server := &http.Server{Handler: s.sandbox.Handler(), ReadHeaderTimeout: 5 * time.Second}
		return lifecycle.Serve(server, s.sandboxListener).UntilDone(ctx, s.sandbox.Close)
	})
	for _, inbox := range s.inboxes {
		when(true, "listeners", inbox.Run)
	}
	when(s.consumer != nil, "consumer", func(ctx context.Context) error { return s.consumer.Run(ctx) })
	when(true, "housekeeping", s.housekeeping().Run)
	when(s.relay != nil, "relay", func(ctx context.Context) error { return s.relay.Run(ctx) })
	when(true, "workers", s.work)
	when(s.starter != nil, "starter", func(ctx context.Context) error { return s.starter.Run(ctx) })
	if has(s.roles, "orders") {
		when(true, "sweeper", (&workers.Sweeper{Starter: s.starter, Orders: s.orders, Log: s.log}).Run)
		when(true, "reconciler", (&workers.Reconciler{Starter: s.starter, Orders: s.orders, Log: s.log, Now: s.now}).Run)
	}
	when(s.pprofListener != nil, "profiles", func(ctx context.Context) error {
		return lifecycle.Serve(profiles(), s.pprofListener).UntilDone(ctx, nil)
	})
	when(true, "api", func(ctx context.Context) error { return s.front.UntilDone(ctx, nil) })
	return errors.Join(lifecycle.Run(ctx, s.log, append(parts, more...)), s.close())
}

// housekeeping tidies up what the roles of this process leave behind.
func (s *Stack) housekeeping() *workers.Housekeeping {
	h := &workers.Housekeeping{Boxes: s.relayed, Inboxes: s.inboxes, Now: s.now, Log: s.log}
	if has(s.roles, "orders") {
		h.Keys = s.orders.PruneKeys
	}
	if has(s.roles, "api") {
		h.Sessions = s.users.PruneSessions
	}
	return h
}

// work polls the task queues of the roles, from when Temporal is there.
func (s *Stack) work(ctx context.Context) error {
	var client client.Client
	if s.temporal != nil {
		var err error
		if client, err = s.temporal.Await(ctx); err != nil {
			return lifecycle.UnlessStopped(ctx, err)
		}
	}
	steps, failed := workers.NewSteps(s.registry), make(chan error, len(s.queues))
	var pollers []worker.Worker
	defer func() { stopAll(pollers) }()
	for queue, register := range s.queues {
		var more []interceptor.WorkerInterceptor
		if queue == activities.InlineQueue && s.starter != nil {
			more = append(more, s.starter.Interceptor())
		}
		w, err := workers.NewWorker(client, queue, steps, s.log, func(err error) { failed <- err }, register, more...)
		if err != nil {
			return err
		}
		if err := w.Start(); err != nil {
			return fmt.Errorf("start polling Temporal: %w", s.temporal.Explain(err))
		}
		pollers = append(pollers, w)
	}
	close(s.Ready)
	select {
	case <-ctx.Done():
		return nil
	case err := <-failed:
		return fmt.Errorf("polling Temporal: %w", s.temporal.Explain(err))
	}
}

// stopAll stops the workers side by side: each waits for its own activities.
func stopAll(pollers []worker.Worker) {
	done := make(chan struct{})
	for _, w := range pollers {
		go func() {
			w.Stop()
			done <- struct{}{}
		}()
	}
	for range pollers {
		<-done
	}
}
