package rabbit

import (
	"context"
	"fmt"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"example.com/orderly/events"
	"example.com/orderly/events/listen"
	"example.com/orderly/internal/backoff"
)

const (
	storeTimeout = 10 * time.Second
	probeTimeout = 5 * time.Second
	// suspicion is how often in a row the first message must fail, while the inbox's table can be read, before it is suspected
	// of being the cause.
	suspicion = 5
)

// store brings the deliveries into the inbox and returns how many of them, from the first on, are on disk. When the inbox is
// there and refuses them together, it is asked one by one, in order, so that one that cannot be stored holds back only those
// behind it.
func (f *feed) store(ctx context.Context, held []amqp.Delivery) (int, error) {
	err := f.keep(ctx, held)
	if err == nil {
		return len(held), nil
	}
	if len(held) == 1 || f.probe(ctx) != nil {
		return 0, err
	}
	for i := range held {
		if err := f.keep(ctx, held[i:i+1]); err != nil {
			return i, err
		}
	}
	return len(held), nil
}

// keep stores the deliveries; a commit that has begun when ctx ends is waited for.
func (f *feed) keep(ctx context.Context, held []amqp.Delivery) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	messages := make([]listen.Message, len(held))
	for i, d := range held {
		messages[i] = listen.Message{ID: d.MessageId, Type: d.Type, Body: d.Body}
		if d.Type == "" {
			messages[i].Type = d.RoutingKey
		}
	}
	return f.inbox.Store(ctx, f.listener.Name, messages)
}

// probe asks whether the inbox's table is there and can be read.
func (f *feed) probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), probeTimeout)
	defer cancel()
	_, err := f.inbox.Dead(ctx, f.listener.Name, 1)
	return err
}

// awaitInbox reports whether the inbox has answered; false when ctx ended first.
func (f *feed) awaitInbox(ctx context.Context) bool {
	defer f.paused.Set(0)
	for failures := 1; ctx.Err() == nil; failures++ {
		err := f.probe(ctx)
		if err == nil {
			return true
		}
		if failures == 1 {
			f.paused.Set(1)
			f.log.Warn("consuming waits for the listener's database", "error", err)
		}
		backoff.Wait(ctx, pause(failures), nil)
	}
	return false
}

// refuses reports whether the inbox takes others but not the first of held: the proof that it is the message, not the database.
// The other must be about another subject, whose order this cannot touch; it is stored again later with its batch.
func (f *feed) refuses(ctx context.Context, held []amqp.Delivery) bool {
	for i := 1; i < len(held); i++ {
		if subject(held[i]) != subject(held[0]) {
			return f.keep(ctx, held[i:i+1]) == nil && f.keep(ctx, held[:1]) != nil
		}
	}
	return false
}

func subject(d amqp.Delivery) string {
	var event events.Event
	if err := event.UnmarshalJSON(d.Body); err != nil {
		return ""
	}
	return event.Source + "/" + event.Subject
}

// setAside moves a message that cannot even be stored to the dead-letter queue. It is not given back to the queue to be counted
// there: what counts differs between broker versions, and meanwhile the messages behind it would pass it again and again.
func (f *feed) setAside(ch *amqp.Channel, d amqp.Delivery, reason error) error {
	if err := ch.Reject(d.DeliveryTag, false); err != nil {
		return fmt.Errorf("dead-letter message %s: %w", d.MessageId, err)
	}
	f.dead.Inc()
	f.log.Error("a message cannot be stored and was moved to the dead-letter queue", "event_id", d.MessageId, "event_type", d.Type,
		"queue", f.deadQueue(f.listener.Name), "error", reason)
	return nil
}
