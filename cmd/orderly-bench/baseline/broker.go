package baseline

import (
	"context"
	"errors"
	"fmt"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"golang.org/x/sync/errgroup"
)

const (
	// unconfirmed bounds what is published and not confirmed yet.
	unconfirmed = 500
	// prefetch is what the consumer holds at most; every ackEvery messages it acknowledges them together.
	prefetch = 500
	ackEvery = 100
)

// Broker is a bare publisher and a bare consumer on one durable quorum queue, each on a connection of its own.
type Broker struct {
	queue               string
	publishing, reading *amqp.Connection
	out, in             *amqp.Channel
	deliveries          <-chan amqp.Delivery
}

// OpenBroker connects to the broker and makes the queue, which must not be there yet. Callers close the Broker with Close.
func OpenBroker(url, queue string) (_ *Broker, err error) {
	b := &Broker{queue: queue}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("RABBITMQ_URL: %w", err), b.Close())
		}
	}()
	if b.publishing, err = amqp.Dial(url); err != nil {
		return nil, err
	}
	if b.reading, err = amqp.Dial(url); err != nil {
		return nil, err
	}
	if b.out, err = b.publishing.Channel(); err != nil {
		return nil, err
	}
	if err = b.out.Confirm(false); err != nil {
		return nil, err
	}
	if b.in, err = b.reading.Channel(); err != nil {
		return nil, err
	}
	if err = b.in.Qos(prefetch, 0, false); err != nil {
		return nil, err
	}
	if _, err = b.in.QueueDeclare(queue, true, false, false, false, amqp.Table{amqp.QueueTypeArg: amqp.QueueTypeQuorum}); err != nil {
		return nil, err
	}
	b.deliveries, err = b.in.Consume(queue, "", false, false, false, false, nil)
	return b, err
}

// Carry publishes count persistent messages with the given body and returns how long it took until all were confirmed, consumed and
// acknowledged.
func (b *Broker) Carry(ctx context.Context, count int, body []byte) (time.Duration, error) {
	began := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return b.publish(ctx, count, body) })
	group.Go(func() error { return b.consume(ctx, count) })
	if err := group.Wait(); err != nil {
		return 0, fmt.Errorf("carry %d messages over the queue %s: %w", count, b.queue, err)
	}
	return time.Since(began), nil
}

func (b *Broker) publish(ctx context.Context, count int, body []byte) error {
	pending := make([]*amqp.DeferredConfirmation, 0, unconfirmed)
	confirmed := func(confirmation *amqp.DeferredConfirmation) error {
		acked, err := confirmation.WaitContext(ctx)
		if err == nil && !acked {
			err = errors.New("the broker refused a message")
		}
		return err
	}
	for range count {
		if len(pending) == unconfirmed {
			if err := confirmed(pending[0]); err != nil {
				return err
			}
			pending = pending[1:]
		}
		confirmation, err := b.out.PublishWithDeferredConfirmWithContext(ctx, "", b.queue, true, false,
			amqp.Publishing{ContentType: "application/json", DeliveryMode: amqp.Persistent, Body: body})
		if err != nil {
			return err
		}
		pending = append(pending, confirmation)
	}
	for _, confirmation := range pending {
		if err := confirmed(confirmation); err != nil {
			return err
		}
	}
	return nil
}

func (b *Broker) consume(ctx context.Context, count int) error {
	for n := 1; n <= count; n++ {
		select {
		case delivery, open := <-b.deliveries:
			if !open {
				return errors.New("the broker ended the consumer")
			}
			if n%ackEvery == 0 || n == count {
				if err := delivery.Ack(true); err != nil {
					return err
				}
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// Close deletes the queue and closes the connections.
func (b *Broker) Close() error {
	var errs []error
	if b.in != nil {
		_, err := b.in.QueueDelete(b.queue, false, false, false)
		errs = append(errs, err)
	}
	for _, connection := range []*amqp.Connection{b.publishing, b.reading} {
		if connection != nil {
			errs = append(errs, connection.Close())
		}
	}
	return errors.Join(errs...)
}
