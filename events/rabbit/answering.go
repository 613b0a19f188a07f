package rabbit

import (
	"context"
	"encoding/json"
	"fmt"

	amqp "github.com/rabbitmq/amqp091-go"

	"example.com/orderly/events/listen"
)

// beforeRollCall is how many of the deliveries stand before the first roll call.
func beforeRollCall(held []amqp.Delivery) int {
	for i, d := range held {
		if isRollCall(d) {
			return i
		}
	}
	return len(held)
}

// answer answers the roll call d: everything that stood before it is stored by now. The error says that this should be tried again; a
// message that cannot be understood is dropped.
func (q *queueConsumer) answer(ctx context.Context, d amqp.Delivery) error {
	call, err := decodeRollCall(d.Body, q.listener.Name)
	if err != nil {
		q.log.Warn("dropped a roll call that makes no sense", "message_id", d.MessageId, "error", err)
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	asked := make([]listen.Message, len(call.Events))
	for i, event := range call.Events {
		asked[i] = listen.Message{ID: event.ID, Type: event.Type}
	}
	unknown, err := q.inbox.Unknown(ctx, q.listener.Name, asked)
	if err == nil {
		err = q.send(ctx, Answer{Source: call.Source, Listener: call.Listener, Until: call.Until, Unknown: unknown})
	}
	if err != nil {
		return fmt.Errorf("answer the roll call of %s: %w", call.Source, err)
	}
	return nil
}

// send publishes an answer, on a connection on which nothing is consumed: a broker that is short of memory stops reading from connections
// that publish, and consuming must go on then.
func (q *queueConsumer) send(ctx context.Context, answer Answer) error {
	body, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	conn, err := q.answers.get(ctx, publishWait)
	if err != nil {
		return err
	}
	if conn.blockedUntil() != nil {
		return ErrBlocked
	}
	var ch *confirmChannel
	if err := conn.bounded(ctx, func() error { ch, err = openConfirmChannel(conn); return err }); err != nil {
		return err
	}
	results := make([]error, 1)
	ch.publish(ctx, conn, []outgoing{{
		exchange: q.directExchange(), key: q.answerQueue(answer.Source),
		Publishing: carrying(answerType, "answer/"+answer.Listener, "roll-call-answer", body),
	}}, results)
	_ = conn.bounded(ctx, ch.channel.Close)
	return results[0]
}

// dropRollCall gives up on a roll call that could not be answered. Another one comes.
func (q *queueConsumer) dropRollCall(d amqp.Delivery, reason error) error {
	q.log.Warn("a roll call could not be answered; the relay will call again", "message_id", d.MessageId, "error", reason)
	if err := d.Ack(!upToThis); err != nil {
		return fmt.Errorf("acknowledge a roll call: %w", err)
	}
	return nil
}

// overtaken returns which of the deliveries are events that the listener lacked and gets only now, after a later one of their subject. It
// asks the inbox only about those that were sent to this queue alone.
func (q *queueConsumer) overtaken(ctx context.Context, held []amqp.Delivery) (map[string]bool, error) {
	var filled []listen.Message
	for _, d := range held {
		if d.Exchange == q.directExchange() {
			filled = append(filled, listen.Message{ID: d.MessageId, Type: d.Type, Body: d.Body})
		}
	}
	if len(filled) == 0 {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	ids, err := q.inbox.Overtaken(ctx, q.listener.Name, filled)
	late := map[string]bool{}
	for _, id := range ids {
		late[id] = true
	}
	return late, err
}

// tellLate counts and tells those of the stored deliveries that were late.
func (q *queueConsumer) tellLate(stored []amqp.Delivery, late map[string]bool) {
	for _, d := range stored {
		if late[d.MessageId] {
			delete(late, d.MessageId)
			q.late.Inc()
			q.log.Warn("an event was filled in after a later one of its subject had been applied", "event_id", d.MessageId, "event_type", d.Type)
		}
	}
}
