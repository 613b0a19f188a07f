package rabbit

import (
	"context"
	"fmt"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"example.com/orderly/events"
	"example.com/orderly/events/listen"
	"example.com/orderly/internal/backoff"
	"example.com/orderly/internal/database"
	"example.com/orderly/internal/fault"
)

const (
	storeTimeout = 10 * time.Second
	probeTimeout = 5 * time.Second
	// poisonAfter is how often in a row the first message must fail, while the inbox's table can be read, before it is suspected
	// of being the cause.
	poisonAfter = 5
)

// store stores the deliveries in the inbox and returns how many of them, from the first on, are on disk. When the inbox answers and
// refuses them together, they are stored one by one, in order, so that one that cannot be stored holds back only those behind it.
func (q *queueConsumer) store(ctx context.Context, held []amqp.Delivery) (stored int, err error) {
	late, err := q.overtaken(ctx, held)
	if err != nil {
		return 0, err
	}
	defer func() { q.tellLate(held[:stored], late) }()
	err = q.storeBatch(ctx, held)
	if err == nil {
		return len(held), nil
	}
	if len(held) == 1 || q.probe(ctx) != nil {
		return 0, err
	}
	for i := range held {
		if err := q.storeBatch(ctx, held[i:i+1]); err != nil {
			return i, err
		}
	}
	return len(held), nil
}

// storeBatch stores the deliveries; a commit that has begun when ctx ends is waited for.
func (q *queueConsumer) storeBatch(ctx context.Context, held []amqp.Delivery) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	messages := make([]listen.Message, len(held))
	for i, d := range held {
		messages[i] = listen.Message{ID: d.MessageId, Type: d.Type, Body: d.Body}
		if d.Type == "" {
			messages[i].Type = d.RoutingKey
		}
	}
	return q.inbox.Store(ctx, q.listener.Name, messages)
}

// probe returns an error unless the inbox's table can be read.
func (q *queueConsumer) probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), probeTimeout)
	defer cancel()
	_, err := q.inbox.Dead(ctx, q.listener.Name, 1)
	return err
}

// awaitInbox reports whether the inbox has answered; false when ctx ended first.
func (q *queueConsumer) awaitInbox(ctx context.Context) bool {
	defer q.paused.Set(0)
	for failures := 1; ctx.Err() == nil; failures++ {
		err := q.probe(ctx)
		if err == nil {
			return true
		}
		if failures == 1 {
			q.paused.Set(1)
			q.log.Warn("consuming waits for the listener's database", "error", err)
		}
		backoff.Wait(ctx, pause(failures), nil)
	}
	return false
}

// isPoison reports whether the inbox takes another message but not the first of held: then it is this message that cannot be stored, and
// not the database that fails. The other one must be about another subject: stored before the first, it would break its subject's order.
// That it is stored again with its batch does nothing. A failure that passes is never the message's: a process that hangs may hold its row.
// A roll call is given up as soon as the inbox can be read, since another one comes.
func (q *queueConsumer) isPoison(ctx context.Context, held []amqp.Delivery) bool {
	if isRollCall(held[0]) {
		return q.probe(ctx) == nil
	}
	for i := 1; i < len(held); i++ {
		if isRollCall(held[i]) || subject(held[i]) == subject(held[0]) {
			continue
		}
		if q.storeBatch(ctx, held[i:i+1]) != nil {
			return false
		}
		err := q.storeBatch(ctx, held[:1])
		return err != nil && fault.CodeOf(err) != database.CodeUnavailable
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

// deadLetter moves a message that cannot even be stored to the dead-letter queue. It is not requeued until the delivery limit does that:
// which redeliveries count differs between broker versions, and each time the messages behind it would pass it.
func (q *queueConsumer) deadLetter(d amqp.Delivery, reason error) error {
	if err := d.Reject(requeue); err != nil {
		return fmt.Errorf("dead-letter message %s: %w", d.MessageId, err)
	}
	q.dead.Inc()
	q.log.Error("a message cannot be stored and was moved to the dead-letter queue", "event_id", d.MessageId, "event_type", d.Type,
		"queue", q.deadQueue(q.listener.Name), "error", reason)
	return nil
}
