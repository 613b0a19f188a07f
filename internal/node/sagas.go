package node

import (
	"context"
	"fmt"
	"maps"
	"strconv"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/worker"

	"example.com/orderly/activities"
	"example.com/orderly/internal/node/lifecycle"
	"example.com/orderly/internal/node/temporal"
	"example.com/orderly/internal/orders"
	"example.com/orderly/internal/system"
	"example.com/orderly/workers"
	"example.com/orderly/workflows"
)

// sagas are how a process starts and runs sagas. What it has no use for is nil.
type sagas struct {
	connection *temporal.Connection
	starter    *workers.Starter
	// activities are those of the services that run here, by task queue.
	activities map[string]func(r worker.Registry)
}

// open prepares the connection to Temporal, which is made when it runs; orders is nil where no sagas are started.
func (s *sagas) open(p process, id system.ID, orders *orders.Service) {
	port, _ := strconv.Atoi(p.cfg.TemporalPort) // checked with the other settings
	uiPort, _ := strconv.Atoi(p.cfg.TemporalUIPort)
	cfg := temporal.Config{
		External: p.cfg.TemporalAddress != "", Namespace: p.cfg.TemporalNamespace, Prepare: p.develop, Retention: p.cfg.TemporalRetention,
		System: id,
		Dir:    p.cfg.Data, Port: port, UIPort: uiPort, Log: p.log, Say: p.say,
	}
	if orders != nil {
		s.starter = workers.NewStarter(orders, p.log, p.now)
		s.starter.Inline(p.cfg.Inline)
		cfg.OnConnect = s.starter.Connect
	}
	s.connection = temporal.New(cfg)
}

// queues are the task queues that this process polls, with what its workers know. all are the task queues of all services.
func (s *sagas) queues(all []string) map[string]func(r worker.Registry) {
	queues := maps.Clone(s.activities)
	ordersActivities := s.activities[activities.OrdersQueue]
	if ordersActivities == nil {
		return queues
	}
	queues[activities.OrdersQueue] = func(r worker.Registry) {
		workflows.Register(r)
		ordersActivities(r)
	}
	// Also where nothing is started inline: a process that did so may have been replaced by this one.
	queues[activities.InlineQueue] = func(r worker.Registry) {
		workflows.Register(r)
		for _, queue := range all {
			if register := s.activities[queue]; register != nil {
				register(r)
			} else {
				activities.RegisterElsewhere(r, queue)
			}
		}
	}
	return queues
}

// work waits for Temporal and then polls the task queues until ctx ends. It calls ready once it polls, or at once in a process that uses
// no Temporal.
func (s *sagas) work(ctx context.Context, p process, all []string, ready func()) error {
	if s.connection == nil {
		ready()
		<-ctx.Done()
		return nil
	}
	c, err := s.connection.Await(ctx)
	if err != nil {
		return lifecycle.UnlessStopped(ctx, err)
	}
	queues := s.queues(all)
	steps, failed := workers.NewStepMetrics(p.metrics), make(chan error, len(queues))
	var polling []worker.Worker
	defer func() { stopAll(polling) }()
	for queue, register := range queues {
		w, err := s.newWorker(c, queue, steps, p, func(err error) { failed <- err }, register)
		if err != nil {
			return err
		}
		if err := w.Start(); err != nil {
			return fmt.Errorf("start polling Temporal: %w", s.connection.Explain(err))
		}
		polling = append(polling, w)
	}
	ready()
	select {
	case <-ctx.Done():
		s.connection.EndPolls()
		return nil
	case err := <-failed:
		return fmt.Errorf("polling Temporal: %w", s.connection.Explain(err))
	}
}

func (s *sagas) newWorker(
	c client.Client, queue string, steps *workers.StepMetrics, p process, fatal func(error), register func(r worker.Registry),
) (worker.Worker, error) {
	var more []interceptor.WorkerInterceptor
	if queue == activities.InlineQueue && s.starter != nil {
		more = append(more, s.starter.Interceptor())
	}
	return workers.NewWorker(c, queue, steps, p.log, fatal, register, more...)
}

// stopAll stops the workers side by side: each waits for its own activities.
func stopAll(polling []worker.Worker) {
	done := make(chan struct{})
	for _, w := range polling {
		go func() {
			w.Stop()
			done <- struct{}{}
		}()
	}
	for range polling {
		<-done
	}
}
