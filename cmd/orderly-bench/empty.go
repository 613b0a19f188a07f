package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.temporal.io/sdk/worker"

	"example.com/orderly/cmd/orderly-bench/baseline"
	"example.com/orderly/workers"
)

// emptyWorkflows are the ways to run the empty workflow.
func (b *bench) emptyWorkflows(empty *baseline.Empty) []benchmark {
	var all []benchmark
	for _, kind := range []struct {
		name  string
		eager bool
		steps baseline.Steps
	}{
		{"plain-start", false, baseline.NoSteps},
		{"eager-start", true, baseline.NoSteps},
		{"five-activities", true, baseline.Activities},
		{"five-local-activities", true, baseline.LocalActivities},
	} {
		all = append(all, benchmark{"EmptyWorkflow/" + kind.name, b.orders, func(ctx context.Context, n int) (result, error) {
			if err := pause(ctx); err != nil {
				return result{}, err
			}
			ctx, cancel := context.WithTimeoutCause(ctx, 2*patience, fmt.Errorf("not all of them within %s", 2*patience))
			defer cancel()
			return b.runEmpty(ctx, n, func(ctx context.Context, clients, n int, await bool) (answered, ended []time.Duration, err error) {
				return b.startEmpty(ctx, empty, clients, n, await, kind.eager, kind.steps)
			})
		}})
	}
	return all
}

// runEmpty is a round of empty workflows, in the same three ways as a round of orders.
func (b *bench) runEmpty(
	ctx context.Context, n int, start func(ctx context.Context, clients, n int, await bool) (answered, ended []time.Duration, err error),
) (result, error) {
	began := time.Now()
	if _, _, err := start(ctx, b.inFlight, n, false); err != nil {
		return result{}, err
	}
	took, few := time.Since(began), (n+1)/2
	busy, _, err := start(ctx, b.concurrency, few, false)
	if err != nil {
		return result{}, err
	}
	calm, toEnd, err := start(ctx, b.concurrency, few, true)
	if err != nil {
		return result{}, err
	}
	return result{took, slices.Concat(
		latencies("busy-answer", busy), latencies("calm-answer", calm), latencies("end", toEnd),
	)}, nil
}

// startEmpty lets clients start n empty workflows and returns when all have ended; with await, each client waits for its own before it
// starts the next.
func (b *bench) startEmpty(
	ctx context.Context, empty *baseline.Empty, clients, n int, await, eager bool, steps baseline.Steps,
) (answered, ended []time.Duration, err error) {
	answered, ended = make([]time.Duration, n), make([]time.Duration, n)
	empty.Expect(n)
	err = inParallel(ctx, clients, n, func(ctx context.Context, i int) error {
		began := time.Now()
		run, err := empty.Start(ctx, fmt.Sprintf("%s-%d", b.sys.name, b.placed.Add(1)), eager, steps)
		answered[i] = time.Since(began)
		if err == nil && await {
			err = run.Get(ctx, nil)
			ended[i] = time.Since(began)
		}
		return err
	})
	if err == nil {
		err = empty.Await(ctx)
	}
	return answered, ended, err
}

// openEmpty starts workers for the empty workflow, with the client and the options of those of the sagas. They run until stop is called.
func (b *bench) openEmpty() (_ *baseline.Empty, stop func(), err error) {
	empty := baseline.NewEmpty(b.node.Temporal, b.sys.name)
	steps := workers.NewStepMetrics(prometheus.NewRegistry())
	fatal := func(err error) { b.sys.say("A worker of the empty workflow has stopped: " + err.Error()) }
	var started []worker.Worker
	stop = func() {
		for _, w := range started {
			w.Stop()
		}
	}
	for queue, register := range empty.Workers() {
		w, err := workers.NewWorker(b.node.Temporal, queue, steps, b.sys.log, fatal, register)
		if err == nil {
			err = w.Start()
		}
		if err != nil {
			stop()
			return nil, nil, errors.Join(errors.New("start a worker of the empty workflow"), err)
		}
		started = append(started, w)
	}
	return empty, stop, nil
}
