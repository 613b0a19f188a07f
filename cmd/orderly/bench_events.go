package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"example.com/orderly/events"
	"example.com/orderly/internal/database"
	"example.com/orderly/internal/measure"
	"example.com/orderly/internal/yardstick"
)

const (
	outboxToApplied = "outbox to applied"
	bareQueue       = "bare amqp091, quorum queue"
)

var eventKinds = []measure.Kind{{Name: perSecond, Unit: "per second"}}

func (b *bench) eventContestants(t *privateTarget, broker *yardstick.Broker) func(n int) []measure.Contestant {
	return func(n int) []measure.Contestant {
		contestants := []measure.Contestant{{Name: outboxToApplied, Run: func(ctx context.Context) (measure.Figures, error) {
			took, err := b.announce(ctx, t, n)
			return measure.Figures{perSecond: measure.PerSecond(n, took)}, err
		}}}
		if broker != nil {
			contestants = append(contestants, measure.Contestant{Name: bareQueue, Run: func(ctx context.Context) (measure.Figures, error) {
				body, err := b.body()
				if err != nil {
					return nil, err
				}
				ctx, cancel := context.WithTimeoutCause(ctx, benchPatience, fmt.Errorf("not all of them within %s", benchPatience))
				defer cancel()
				took, err := broker.Carry(ctx, n, body)
				return measure.Figures{perSecond: measure.PerSecond(n, took)}, err
			}})
		}
		return contestants
	}
}

// announce writes n events about as many subjects into an outbox and returns how long after their commit all of them were marked
// published and the journal had applied them.
func (b *bench) announce(ctx context.Context, t *privateTarget, n int) (time.Duration, error) {
	box := t.stack.boxes["inventory"]
	err := box.DB().InTx(ctx, func(tx *database.Tx) error {
		for range n {
			if err := box.Append(ctx, tx, fmt.Sprintf("%s-%d", b.name, b.placed.Add(1)), benchEvent()); err != nil {
				return err
			}
		}
		return nil
	})
	began := time.Now()
	if err == nil {
		err = t.applied(ctx, n, 0)
	}
	return time.Since(began), err
}

func benchEvent() events.Payload { return events.StockAdjusted{SKU: "BENCH-001"} }

// body is what such an event looks like on its way.
func (b *bench) body() ([]byte, error) {
	event, err := events.New("inventory", fmt.Sprintf("%s-%d", b.name, b.placed.Load()), 1, time.Now(), benchEvent())
	if err != nil {
		return nil, err
	}
	return json.Marshal(event)
}

// openBroker opens the bare publisher and consumer, where there is a broker.
func (b *bench) openBroker(url string) (broker *yardstick.Broker, closed func() error, err error) {
	if url == "" {
		return nil, func() error { return nil }, nil
	}
	if broker, err = yardstick.OpenBroker(url, b.name+".bare"); err != nil {
		return nil, nil, errors.Join(errors.New("open the bare publisher and consumer"), err)
	}
	return broker, broker.Close, nil
}
