package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"example.com/orderly/cmd/orderly-bench/baseline"
	"example.com/orderly/events"
	"example.com/orderly/internal/database"
)

// eventBenchmarks are events from an outbox until the journal has applied them, and beside them, where there is a broker, a bare publisher
// and consumer.
func (b *bench) eventBenchmarks() (all []benchmark, closeBroker func() error, err error) {
	all = []benchmark{{"Events/outbox-to-applied", b.events, func(ctx context.Context, n int) (result, error) {
		took, err := b.announce(ctx, n)
		return result{took: took}, err
	}}}
	if b.sys.cfg.RabbitMQURL == "" {
		return all, func() error { return nil }, nil
	}
	broker, err := baseline.OpenBroker(b.sys.cfg.RabbitMQURL, b.sys.name+".bare")
	if err != nil {
		return nil, nil, fmt.Errorf("open the bare publisher and consumer: %w", err)
	}
	return append(all, benchmark{"Events/bare-quorum-queue", b.events, func(ctx context.Context, n int) (result, error) {
		event, err := events.New("inventory", fmt.Sprintf("%s-%d", b.sys.name, b.placed.Load()), 1, time.Now(), announced())
		if err != nil {
			return result{}, err
		}
		body, err := json.Marshal(event)
		if err != nil {
			return result{}, err
		}
		ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("not all of them within %s", patience))
		defer cancel()
		took, err := broker.Carry(ctx, n, body)
		return result{took: took}, err
	}}), broker.Close, nil
}

// announce writes n events about as many subjects into an outbox and returns how long after their commit all of them were marked published
// and the journal had applied them.
func (b *bench) announce(ctx context.Context, n int) (time.Duration, error) {
	box := b.node.Outboxes["inventory"]
	err := box.DB().InTx(ctx, func(tx *database.Tx) error {
		for range n {
			if err := box.Append(ctx, tx, fmt.Sprintf("%s-%d", b.sys.name, b.placed.Add(1)), announced()); err != nil {
				return err
			}
		}
		return nil
	})
	began := time.Now()
	if err == nil {
		err = b.rest.await(ctx, n, 0)
	}
	return time.Since(began), err
}

func announced() events.Payload { return events.StockAdjusted{SKU: "BENCH-001"} }
