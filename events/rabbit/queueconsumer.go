package rabbit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	amqp "github.com/rabbitmq/amqp091-go"

	"example.com/orderly/events/listen"
	"example.com/orderly/internal/backoff"
)

const (
	// prefetch is how many messages may be delivered and not acknowledged yet. Batches are smaller, so that the next one arrives while one
	// is being stored.
	prefetch  = 200
	batchSize = 100

	setupTimeout = 30 * time.Second
	stopTimeout  = 10 * time.Second
)

// queueConsumer stores what arrives in the queue of one listener in its inbox.
type queueConsumer struct {
	settings
	connections *manager
	answers     *manager
	inbox       *listen.Inbox
	listener    listen.Subscription
	log         *slog.Logger
	stored      prometheus.Counter
	late        prometheus.Counter
	dead        prometheus.Counter
	paused      prometheus.Gauge

	// consumed is whether this queue has been consumed from at all, on any connection.
	consumed bool
	// heard is when (Unix nanoseconds) something was last delivered, or what was delivered tried again.
	heard atomic.Int64
}

// run consumes until ctx ends, on one connection after the other.
func (q *queueConsumer) run(ctx context.Context) error {
	for failures := 0; ctx.Err() == nil; {
		began := time.Now()
		err := q.consumeOnce(ctx)
		if err == nil || ctx.Err() != nil || errors.Is(err, errQuiet) {
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
		if errors.Is(err, errCancelled) || errors.Is(err, errMissing) {
			wait = max(wait, redeclareAfter)
		}
		backoff.Wait(ctx, wait, nil)
	}
	return nil
}

// consumeOnce consumes on a channel of its own until that ends, or until ctx does.
func (q *queueConsumer) consumeOnce(ctx context.Context) error {
	// A message that is delivered and not acknowledged comes nearer to the delivery limit, so none is asked for before it can be stored.
	if !q.awaitInbox(ctx) {
		return nil
	}
	conn, err := q.connections.get(ctx, math.MaxInt64)
	if err != nil {
		return err
	}
	var ch *amqp.Channel
	var deliveries <-chan amqp.Delivery
	// Not under ctx: when that ends, bounded would kill the connection, on which other listeners still acknowledge what they have stored.
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
	q.sign()
	watched, end := context.WithCancelCause(ctx)
	var keeping sync.WaitGroup
	keeping.Go(func() { end(q.keepDeclared(watched, conn)) })
	err = q.consume(watched, newIntake(ch, deliveries))
	end(nil)
	keeping.Wait()
	if err == nil && ctx.Err() == nil {
		err = context.Cause(watched)
	}
	return err
}

func (q *queueConsumer) subscribe(conn *connection) (*amqp.Channel, <-chan amqp.Delivery, error) {
	ch, err := conn.amqp.Channel()
	if err != nil {
		return nil, nil, fmt.Errorf("open a channel: %w", err)
	}
	deliveries, err := func() (<-chan amqp.Delivery, error) {
		c := q.on(conn)
		if err := c.declare(ch, q.listener); err != nil {
			return nil, err
		}
		if err := c.bindDirect(ch, q.listener); err != nil {
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
func (q *queueConsumer) consume(ctx context.Context, in *intake) error {
	defer q.paused.Set(0)
	for {
		running, err := in.receive(ctx)
		if err != nil {
			return err
		}
		if !running {
			return q.finish(ctx, in)
		}
		q.sign()
		refusal, err := q.work(ctx, in)
		if err != nil {
			return err
		}
		if refusal == nil {
			continue
		}
		if running, err = q.afterRefusal(ctx, in, refusal); err != nil {
			return err
		}
		if !running {
			return q.finish(ctx, in)
		}
	}
}

// work stores the events at the head of in.held, up to the next roll call, or answers the roll call at its head, and only then
// acknowledges. The refusal says why something is left over; the error, that the channel has ended.
func (q *queueConsumer) work(ctx context.Context, in *intake) (refusal, err error) {
	n := beforeRollCall(in.held)
	if n == 0 {
		if refusal = q.answer(ctx, in.held[0]); refusal != nil {
			return refusal, nil
		}
		return nil, q.acknowledge(in, 1)
	}
	n, refusal = q.store(ctx, in.held[:n])
	if err = q.acknowledge(in, n); err == nil {
		q.stored.Add(float64(n))
	}
	return refusal, err
}

// acknowledge tells the broker that the first messages of in.held are done with, and forgets them.
func (q *queueConsumer) acknowledge(in *intake, n int) error {
	if n == 0 {
		return nil
	}
	if err := in.ch.Ack(in.held[n-1].DeliveryTag, upToThis); err != nil {
		return fmt.Errorf("acknowledge what is stored: %w", err)
	}
	if in.failures > 0 {
		q.paused.Set(0)
		q.log.Info("consuming goes on")
	}
	in.held, in.failures = in.held[n:], 0
	return nil
}

// afterRefusal waits before what the inbox has refused is stored again, or dead-letters the first message if it alone is the cause. It
// reports false when ctx has ended.
func (q *queueConsumer) afterRefusal(ctx context.Context, in *intake, refusal error) (bool, error) {
	in.failures++
	if in.failures == 1 {
		q.paused.Set(1)
		q.log.Warn("consuming pauses: the inbox does not take what arrives, or a roll call can't be answered", "waiting", len(in.held), "error", refusal)
	}
	if in.failures < poisonAfter || !q.isPoison(ctx, in.held) {
		return in.wait(ctx, pause(in.failures))
	}
	giveUp := q.deadLetter
	if isRollCall(in.held[0]) {
		giveUp = q.dropRollCall
	}
	if err := giveUp(in.held[0], refusal); err != nil {
		return false, err
	}
	q.paused.Set(0)
	in.held, in.failures = in.held[1:], 0
	return true, nil
}

// finish stores and acknowledges what has been delivered, up to the next roll call; the caller then closes the channel. The consumer is not cancelled
// first: the broker would hand what follows to the next consumer while this one still holds what comes before it. Closing the
// channel gives the rest back in its place.
func (q *queueConsumer) finish(ctx context.Context, in *intake) error {
	in.receiveLast()
	held := in.held[:beforeRollCall(in.held)]
	if len(held) == 0 {
		return nil
	}
	stored, err := q.store(ctx, held)
	if err != nil {
		q.log.Warn("stopped before everything that was delivered could be stored; the broker keeps it",
			"waiting", len(in.held)-stored, "error", err)
	}
	if stored > 0 {
		q.stored.Add(float64(stored))
		_ = in.ch.Ack(in.held[stored-1].DeliveryTag, upToThis) // when it fails they come again, and the inbox knows them
	}
	return nil
}
