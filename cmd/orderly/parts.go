package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"

	"example.com/orderly/activities"
	"example.com/orderly/internal/embedded"
	"example.com/orderly/workers"
	"example.com/orderly/workflows"
)

// run runs every part until ctx ends, stops them in reverse order, and closes what was opened. API, workers, relay,
// listeners, provider, Temporal: each is still there for those that stop before it. more is stopped first.
func (s *stack) run(ctx context.Context, more ...part) error {
	temporal := &temporalPart{stack: s, connected: make(chan struct{})}
	parts := []part{{"temporal", temporal.run}}
	if s.sandbox != nil {
		parts = append(parts, part{"sandbox provider", func(ctx context.Context) error {
			server := &http.Server{Handler: s.sandbox.Handler(), ReadHeaderTimeout: 5 * time.Second}
			return serveHTTP(ctx, server, s.sandboxListener, s.sandbox.Close)
		}})
	}
	for _, inbox := range s.inboxes {
		parts = append(parts, part{"listeners", inbox.Run})
	}
	if s.consumer != nil {
		parts = append(parts, part{"consumer", s.consumer.Run})
	}
	housekeeping := &workers.Housekeeping{
		Boxes: s.outboxes, Inboxes: s.inboxes, Keys: s.orders.PruneKeys, Sessions: s.users.PruneSessions, Now: s.now, Log: s.log,
	}
	parts = append(parts,
		part{"housekeeping", housekeeping.Run},
		part{"relay", s.relay.Run},
		part{"workers", func(ctx context.Context) error { return s.work(ctx, temporal) }},
		part{"sweep", s.starter.Sweep},
		part{"patrol", s.starter.Patrol},
		part{"api", func(ctx context.Context) error { return serveHTTP(ctx, s.api().Server(), s.apiListener, nil) }},
	)
	return errors.Join(runParts(ctx, s.log, append(parts, more...)), s.close())
}

// work runs the Temporal workers of all roles, from when Temporal is there.
func (s *stack) work(ctx context.Context, temporal *temporalPart) error {
	select {
	case <-temporal.connected:
	case <-ctx.Done():
		return nil
	}
	steps, failed := workers.NewSteps(s.registry), make(chan error, 3)
	poll := func(queue string, register func(r worker.Registry)) worker.Worker {
		return workers.NewWorker(temporal.client, queue, steps, s.log, func(err error) { failed <- err }, register)
	}
	pollers := []worker.Worker{
		poll(activities.OrdersQueue, func(r worker.Registry) {
			workflows.Register(r)
			activities.Orders{Service: s.orders}.Register(r)
		}),
		poll(activities.InventoryQueue, func(r worker.Registry) { activities.Inventory{Service: s.inventory}.Register(r) }),
		poll(activities.PaymentsQueue, func(r worker.Registry) { activities.Payments{Service: s.payments}.Register(r) }),
	}
	for i, w := range pollers {
		if err := w.Start(); err != nil {
			stopAll(pollers[:i])
			return fmt.Errorf("start polling Temporal: %w", err)
		}
	}
	close(s.ready)
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
		err = fmt.Errorf("polling Temporal: %w", err)
	}
	stopAll(pollers)
	return err
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

// temporalPart is Temporal: the server outside that TEMPORAL_ADDRESS names, or one of our own as a child process.
type temporalPart struct {
	stack     *stack
	client    client.Client
	connected chan struct{}
}

func (t *temporalPart) run(ctx context.Context) error {
	s := t.stack
	if s.cfg.TemporalAddress != "" {
		// Address, namespace, TLS and API key, from the variables every Temporal client knows.
		options, err := envconfig.LoadDefaultClientOptions()
		if err != nil {
			return fmt.Errorf("read the TEMPORAL_* variables: %w", err)
		}
		if err := t.connect(ctx, options, false); err != nil {
			return unlessStopped(ctx, err)
		}
		defer t.client.Close()
		<-ctx.Done()
		return nil
	}
	cli, err := embedded.TemporalCLI(ctx, embedded.CLIOptions{Say: s.say})
	if err != nil {
		return unlessStopped(ctx, err)
	}
	server, err := embedded.StartTemporal(ctx, t.serverConfig(cli))
	if err != nil {
		return unlessStopped(ctx, err)
	}
	defer func() { _ = server.Stop(context.WithoutCancel(ctx)) }()
	s.temporalUI = "http://" + server.UIAddr()
	if err := t.connect(ctx, client.Options{HostPort: server.Addr()}, true); err != nil {
		return unlessStopped(ctx, err)
	}
	defer t.client.Close()
	select {
	case <-ctx.Done():
		return nil
	case <-server.Done():
		return fmt.Errorf("the Temporal server ended by itself; its log is in %s: %w", s.cfg.Data, server.Err())
	}
}

func (t *temporalPart) serverConfig(cli string) embedded.TemporalConfig {
	port, _ := strconv.Atoi(t.stack.cfg.TemporalPort) // checked with the other settings
	uiPort, _ := strconv.Atoi(t.stack.cfg.TemporalUIPort)
	return embedded.TemporalConfig{
		CLI: cli, Dir: t.stack.cfg.Data,
		Port: port, PortSetting: "ORDERLY_TEMPORAL_PORT", UIPort: uiPort, UIPortSetting: "ORDERLY_TEMPORAL_UI_PORT",
		SearchAttributes: workflows.SearchAttributes(),
	}
}

// connect gives the starter and the workers their client. A server outside may not be up yet and is waited for.
func (t *temporalPart) connect(ctx context.Context, options client.Options, searchable bool) error {
	s := t.stack
	options.Logger = log.NewStructuredLogger(s.log)
	for told := false; ; told = true {
		c, err := client.DialContext(ctx, options)
		if err == nil {
			t.client = c
			break
		}
		if !told {
			s.say("Waiting for Temporal at " + options.HostPort + " (TEMPORAL_ADDRESS): " + err.Error())
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if !searchable {
		searchable = workers.KnowsSearchAttributes(ctx, t.client, cmp.Or(options.Namespace, client.DefaultNamespace), workflows.SearchAttributes())
		if !searchable {
			s.say("This Temporal namespace lacks our search attributes; sagas run without them.")
		}
	}
	s.starter.Connect(t.client, searchable)
	close(t.connected)
	return nil
}

// unlessStopped drops the error of something that was interrupted because we are told to stop.
func unlessStopped(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	return nil
}
