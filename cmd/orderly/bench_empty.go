package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"

	"example.com/orderly/internal/measure"
	"example.com/orderly/internal/yardstick"
	"example.com/orderly/workers"
)

// empty is a way to run the empty workflow.
type empty struct {
	name  string
	eager bool
	steps yardstick.Steps
}

var emptyOnes = []empty{
	{plainStart, false, yardstick.NoSteps},
	{eagerStart, true, yardstick.NoSteps},
	{emptyActivities, true, yardstick.Activities},
	{emptyLocalOnes, true, yardstick.LocalOnes},
}

// runEmpty is a round of empty workflows, in the same three ways as a round of orders.
func (b *bench) runEmpty(ctx context.Context, n int, e empty) (measure.Figures, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, 2*benchPatience, fmt.Errorf("not all of them within %s", 2*benchPatience))
	defer cancel()
	began := time.Now()
	if _, err := b.start(ctx, b.inFlight, n, e, false); err != nil {
		return nil, err
	}
	figures := measure.Figures{perSecond: measure.PerSecond(n, time.Since(began))}
	few := (n + 1) / 2
	busy, err := b.start(ctx, b.concurrency, few, e, false)
	if err != nil {
		return nil, err
	}
	calm, err := b.start(ctx, b.concurrency, few, e, true)
	if err != nil {
		return nil, err
	}
	addLatencies(figures, busy.answered, calm.answered, calm.ended)
	return figures, nil
}

// start has clients start n empty workflows and returns when all have ended; with await, each client waits for its own before it
// starts the next.
func (b *bench) start(ctx context.Context, clients, n int, e empty, await bool) (placed, error) {
	p := newPlaced(n)
	b.empty.Expect(n)
	err := inParallel(ctx, clients, n, func(ctx context.Context, i int) error {
		began := time.Now()
		run, err := b.empty.Start(ctx, fmt.Sprintf("%s-%d", b.name, b.placed.Add(1)), e.eager, e.steps)
		p.answered[i] = time.Since(began)
		if err == nil && await {
			err = run.Get(ctx, nil)
			p.ended[i] = time.Since(began)
		}
		return err
	})
	if err == nil {
		err = b.empty.Await(ctx)
	}
	return p, err
}

// openEmpty starts workers for the empty workflow: the same client and the same options as those of the sagas. They run until
// the returned function is called.
func (b *bench) openEmpty(c client.Client) (stop func(), err error) {
	b.empty = yardstick.NewEmpty(c, b.name)
	failed := func(err error) { b.say("A worker of the empty workflow has stopped: " + err.Error()) }
	steps := workers.NewSteps(prometheus.NewRegistry())
	var started []worker.Worker
	stop = func() { stopAll(started) }
	for queue, register := range b.empty.Workers() {
		w, err := workers.NewWorker(c, queue, steps, b.log, failed, register)
		if err != nil {
			return nil, err
		}
		if err := w.Start(); err != nil {
			stop()
			return nil, errors.Join(errors.New("start a worker of the empty workflow"), err)
		}
		started = append(started, w)
	}
	return stop, nil
}
