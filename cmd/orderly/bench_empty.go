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

// runEmpty is a round of empty workflows, in the same three ways as a round of orders.
func (b *bench) runEmpty(ctx context.Context, n int, eager bool) (measure.Figures, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, 2*benchPatience, fmt.Errorf("not all of them within %s", 2*benchPatience))
	defer cancel()
	began := time.Now()
	if _, err := b.start(ctx, b.inFlight, n, eager, false); err != nil {
		return nil, err
	}
	figures := measure.Figures{perSecond: measure.PerSecond(n, time.Since(began))}
	few := (n + 1) / 2
	busy, err := b.start(ctx, b.concurrency, few, eager, false)
	if err != nil {
		return nil, err
	}
	calm, err := b.start(ctx, b.concurrency, few, eager, true)
	if err != nil {
		return nil, err
	}
	addLatencies(figures, busy.answered, calm.answered, calm.ended)
	return figures, nil
}

// start has clients start n empty workflows and returns when all have ended; with await, each client waits for its own before it
// starts the next.
func (b *bench) start(ctx context.Context, clients, n int, eager, await bool) (placed, error) {
	p := newPlaced(n)
	b.empty.Expect(n)
	err := inParallel(ctx, clients, n, func(ctx context.Context, i int) error {
		began := time.Now()
		run, err := b.empty.Start(ctx, fmt.Sprintf("%s-%d", b.name, b.placed.Add(1)), eager)
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

// openEmpty starts a worker for the empty workflow: the same client and the same options as those of the sagas. It runs until
// the returned function is called.
func (b *bench) openEmpty(c client.Client) (stop func(), err error) {
	b.empty = yardstick.NewEmpty(c, b.name)
	failed := func(err error) { b.say("The worker of the empty workflow has stopped: " + err.Error()) }
	steps := workers.NewSteps(prometheus.NewRegistry())
	w := workers.NewWorker(c, b.name, steps, b.log, failed, func(r worker.Registry) { b.empty.Register(r) })
	if err := w.Start(); err != nil {
		return nil, errors.Join(errors.New("start the worker of the empty workflow"), err)
	}
	return w.Stop, nil
}
