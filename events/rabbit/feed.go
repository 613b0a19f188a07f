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

// feed is one listener's way from its queue to its inbox.
type feed struct {
	settings
	link     *link
	inbox    *listen.Inbox
	listener listen.Subscription
	log      *slog.Logger
	stored   prometheus.Counter
	dead     prometheus.Counter
	paused   prometheus.Gauge

	// consumed is whether an epoch has come as far as consuming.
	consumed bool
}

// run goes through epochs until ctx ends.
func (f *feed) run(ctx context.Context) error {
	for failures := 0; ctx.Err() == nil; {
		began := time.Now()
		err := f.epoch(ctx)
		if err == nil || ctx.Err() != nil {
			continue
		}
		if errors.Is(err, ErrSetup) && !f.consumed {
			return err
		}
		if time.Since(began) > time.Minute {
			failures = 0
		}
		failures++
		f.log.Warn("consuming was interrupted and begins anew", "error", err)
		wait := pause(failures)
		if errors.Is(err, errCancelled) {
			wait = max(wait, settle)
		}
		backoff.Wait(ctx, wait, nil)
	}
	return nil
}

// epoch consumes on a channel of its own until that ends, or until ctx does.
func (f *feed) epoch(ctx context.Context) error {
	// A delivery that is not acknowledged counts towards the delivery limit, so nothing is asked for that could not be kept.
	if !f.awaitInbox(ctx) {
		return nil
	}
	s, err := f.link.session(ctx, math.MaxInt64)
	if err != nil {
		return err
	}
	var ch *amqp.Channel
	var deliveries <-chan amqp.Delivery
	// Not under ctx: the connection is shared with listeners that are still coming to rest.
	setup, cancel := context.WithTimeout(context.WithoutCancel(ctx), setupTimeout)
	defer cancel()
	if err := s.bounded(setup, func() error { ch, deliveries, err = f.subscribe(s); return err }); err != nil {
		return err
	}
	f.consumed = true
	defer func() {
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		_ = s.bounded(stop, ch.Close)
	}()
	return f.consume(ctx, ch, buffered(deliveries))
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

func (f *feed) subscribe(s *session) (*amqp.Channel, <-chan amqp.Delivery, error) {
	ch, err := s.conn.Channel()
	if err != nil {
		return nil, nil, fmt.Errorf("open a channel: %w", err)
	}
	deliveries, err := func() (<-chan amqp.Delivery, error) {
		if err := f.declare(ch, f.listener); err != nil {
			return nil, err
		}
		if !f.consumed {
			// Once per start, not per epoch: a process of an older version that merely reconnects must not undo what a newer
			// one has bound.
			if err := f.unbind(ch, f.listener); err != nil {
				return nil, err
			}
		}
		if err := ch.Qos(prefetch, 0, false); err != nil {
			return nil, fmt.Errorf("set the prefetch: %w", err)
		}
		queue := f.queue(f.listener.Name)
		deliveries, err := ch.Consume(queue, queue, false, false, false, false, nil)
		if err != nil {
			return nil, f.refused(err, "consume", "queue", queue)
		}
		return deliveries, nil
	}()
	if err != nil {
		_ = ch.Close()
	}
	return ch, deliveries, err
}

// consume stores, commits, and only then acknowledges, on the channel the deliveries came by.
func (f *feed) consume(ctx context.Context, ch *amqp.Channel, deliveries <-chan amqp.Delivery) error {
	var held []amqp.Delivery // delivered, not stored; the oldest first
	defer f.paused.Set(0)
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
				return f.finish(ctx, ch, deliveries, held)
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
		stored, err := f.store(ctx, held)
		if stored > 0 {
			if err := ch.Ack(held[stored-1].DeliveryTag, true); err != nil {
				return fmt.Errorf("acknowledge what is stored: %w", err)
			}
			f.stored.Add(float64(stored))
			if failures > 0 {
				f.paused.Set(0)
				f.log.Info("consuming goes on")
			}
			held, failures = held[stored:], 0
		}
		if err == nil {
			continue
		}
		failures++
		if failures == 1 {
			f.paused.Set(1)
			f.log.Warn("consuming pauses: the inbox does not take what arrives", "waiting", len(held), "error", err)
		}
		if failures >= suspicion && f.refuses(ctx, held) {
			if err := f.setAside(ch, held[0], err); err != nil {
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
			return f.finish(ctx, ch, deliveries, held)
		}
	}
}

// finish stores and acknowledges what has been delivered; the caller then closes the channel. The consumer is not cancelled
// first: the broker would hand what follows to the next consumer while this one still holds what comes before it. Closing the
// channel gives the rest back in its place.
func (f *feed) finish(ctx context.Context, ch *amqp.Channel, deliveries <-chan amqp.Delivery, held []amqp.Delivery) error {
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
	stored, err := f.store(ctx, held)
	if err != nil {
		f.log.Warn("stopped before everything that was delivered could be stored; the broker keeps it", "waiting", len(held)-stored,
			"error", err)
	}
	if stored > 0 {
		f.stored.Add(float64(stored))
		_ = ch.Ack(held[stored-1].DeliveryTag, true) // when it fails they come again, and the inbox knows them
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
