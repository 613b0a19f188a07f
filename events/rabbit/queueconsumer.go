package rabbit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	amqp "github.com/rabbitmq/amqp091-go"

	"example.com/orderly/events/listen"
	"example.com/orderly/internal/backoff"
)

const (
	// prefetch is what may be delivered and not acknowledged yet. Batches are smaller, so that the next one arrives while one is
	// being stored.
	prefetch  = 200
	batchSize = 100

	setupTimeout = 30 * time.Second
	stopTimeout  = 10 * time.Second
	// stopQuiet is how long nothing more arrives before what has been delivered is taken to be all.
	stopQuiet = 100 * time.Millisecond
)

var (
	errCancelled = errors.New("the broker has cancelled the consumer: its queue is gone or has moved, or it was idle with deliveries for too long")
	errEnded     = errors.New("the channel has ended")
)

// queueConsumer is one listener's way from its queue to its inbox.
type queueConsumer struct {
	settings
	connections *manager
	inbox       *listen.Inbox
	listener    listen.Subscription
	log         *slog.Logger
	stored      prometheus.Counter
	dead        prometheus.Counter
	paused      prometheus.Gauge

	// consumed is whether a connection has come as far as consuming.
	consumed bool
}

// run goes through connections until ctx ends.
func (q *queueConsumer) run(ctx context.Context) error {
	for failures := 0; ctx.Err() == nil; {
		began := time.Now()
		err := q.consumeOnce(ctx)
		if err == nil || ctx.Err() != nil {
			continue
		}
		if errors.Is(err, ErrSetup) && !q.consumed {
			return err
		}
		if time.Since(began) > time.Minute {
			failures = 0
		}
		failures++
		q.log.Warn("consuming was interrupted and begins anew", "error", err)
		wait := pause(failures)
		if errors.Is(err, errCancelled) {
			wait = max(wait, redeclareAfter)
		}
		backoff.Wait(ctx, wait, nil)
	}
	return nil
}

// consumeOnce consumes on a channel of its own until that ends, or until ctx does.
func (q *queueConsumer) consumeOnce(ctx context.Context) error {
	// A delivery that is not acknowledged counts towards the delivery limit, so nothing is asked for that could not be kept.
	if !q.awaitInbox(ctx) {
		return nil
	}
	conn, err := q.connections.get(ctx, math.MaxInt64)
	if err != nil {
		return err
	}
	var ch *amqp.Channel
	var deliveries <-chan amqp.Delivery
	// Not under ctx: the connection is shared with listeners that are still coming to rest.
	setup, cancel := context.WithTimeout(context.WithoutCancel(ctx), setupTimeout)
	defer cancel()
	if err := conn.bounded(setup, func() error { ch, deliveries, err = q.subscribe(conn); return err }); err != nil {
		return err
	}
	q.consumed = true
	defer func() {
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		_ = conn.bounded(stop, ch.Close)
	}()
	return q.consume(ctx, ch, buffered(deliveries))
}

// buffered makes what has been delivered available at once: the client hands it over one by one. It never blocks, because what
// is not acknowledged is never more than the prefetch, and ends with the channel.
func buffered(deliveries <-chan amqp.Delivery) <-chan amqp.Delivery {
	arrived := make(chan amqp.Delivery, prefetch)
	go func() {
		defer close(arrived)
		for d := range deliveries {
			arrived <- d
		}
	}()
	return arrived
}

func (q *queueConsumer) subscribe(conn *connection) (*amqp.Channel, <-chan amqp.Delivery, error) {
	ch, err := conn.amqp.Channel()
	if err != nil {
		return nil, nil, fmt.Errorf("open a channel: %w", err)
	}
	deliveries, err := func() (<-chan amqp.Delivery, error) {
		if err := q.declare(ch, q.listener); err != nil {
			return nil, err
		}
		if !q.consumed {
			// Once per start, not per connection: a process of an older version that merely reconnects must not undo what a newer
			// one has bound.
			if err := q.unbind(ch, q.listener); err != nil {
				return nil, err
			}
		}
		if err := ch.Qos(prefetch, anySize, globalQos); err != nil {
			return nil, fmt.Errorf("set the prefetch: %w", err)
		}
		queue := q.queue(q.listener.Name)
		deliveries, err := ch.Consume(queue, queue, autoAck, exclusive, noLocal, noWait, nil)
		if err != nil {
			return nil, q.refused(err, "consume", "queue", queue)
		}
		return deliveries, nil
	}()
	if err != nil {
		_ = ch.Close()
	}
	return ch, deliveries, err
}

// consume stores, commits, and only then acknowledges, on the channel the deliveries came by.
func (q *queueConsumer) consume(ctx context.Context, ch *amqp.Channel, deliveries <-chan amqp.Delivery) error {
	var held []amqp.Delivery // delivered, not stored; the oldest first
	defer q.paused.Set(0)
	ended := ch.NotifyClose(make(chan *amqp.Error, 1))
	for failures := 0; ; {
		if len(held) == 0 {
			select {
			case d, open := <-deliveries:
				if !open {
					return why(ch, ended)
				}
				held = append(held, d)
			case <-ctx.Done():
				return q.finish(ctx, ch, deliveries, held)
			}
		}
		limit := batchSize
		if failures > 0 {
			limit = prefetch
		}
		var open bool
		if held, open = gather(held, deliveries, limit); !open {
			return why(ch, ended)
		}
		stored, err := q.store(ctx, held)
		if stored > 0 {
			if err := ch.Ack(held[stored-1].DeliveryTag, upToThis); err != nil {
				return fmt.Errorf("acknowledge what is stored: %w", err)
			}
			q.stored.Add(float64(stored))
			if failures > 0 {
				q.paused.Set(0)
				q.log.Info("consuming goes on")
			}
			held, failures = held[stored:], 0
		}
		if err == nil {
			continue
		}
		failures++
		if failures == 1 {
			q.paused.Set(1)
			q.log.Warn("consuming pauses: the inbox does not take what arrives", "waiting", len(held), "error", err)
		}
		if failures >= poisonAfter && q.isPoison(ctx, held) {
			if err := q.deadLetter(ch, held[0], err); err != nil {
				return err
			}
			held, failures = held[1:], 0
			continue
		}
		timer := time.NewTimer(pause(failures))
		select {
		case <-timer.C:
		case err := <-ended:
			timer.Stop()
			return end(err)
		case <-ctx.Done():
			timer.Stop()
			return q.finish(ctx, ch, deliveries, held)
		}
	}
}

// finish stores and acknowledges what has been delivered; the caller then closes the channel. The consumer is not cancelled
// first: the broker would hand what follows to the next consumer while this one still holds what comes before it. Closing the
// channel gives the rest back in its place.
func (q *queueConsumer) finish(ctx context.Context, ch *amqp.Channel, deliveries <-chan amqp.Delivery, held []amqp.Delivery) error {
	for open := true; open && len(held) < prefetch; {
		select {
		case d, more := <-deliveries:
			if open = more; more {
				held = append(held, d)
			}
		case <-time.After(stopQuiet):
			open = false
		}
	}
	if len(held) == 0 {
		return nil
	}
	stored, err := q.store(ctx, held)
	if err != nil {
		q.log.Warn("stopped before everything that was delivered could be stored; the broker keeps it", "waiting", len(held)-stored,
			"error", err)
	}
	if stored > 0 {
		q.stored.Add(float64(stored))
		_ = ch.Ack(held[stored-1].DeliveryTag, upToThis) // when it fails they come again, and the inbox knows them
	}
	return nil
}

// gather adds what has been delivered by now, up to limit in all; open is false when no more will come by this channel.
func gather(held []amqp.Delivery, deliveries <-chan amqp.Delivery, limit int) (_ []amqp.Delivery, open bool) {
	for len(held) < limit {
		select {
		case d, open := <-deliveries:
			if !open {
				return held, false
			}
			held = append(held, d)
		default:
			return held, true
		}
	}
	return held, true
}

// why says how deliveries came to an end: with their channel, or, while that is open, by the broker.
func why(ch *amqp.Channel, ended <-chan *amqp.Error) error {
	if !ch.IsClosed() {
		return errCancelled
	}
	return end(<-ended)
}

func end(err *amqp.Error) error {
	if err == nil {
		return errEnded
	}
	return fmt.Errorf("%w: %w", errEnded, err)
}
