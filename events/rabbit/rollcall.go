package rabbit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"example.com/orderly/events/listen"
	"example.com/orderly/internal/backoff"
)

// What tells a roll call and its answer from an event: the content type, and never the body.
const (
	rollCallType = "application/vnd.orderly.roll-call+json"
	answerType   = "application/vnd.orderly.roll-call-answer+json"
)

// RollCall asks a listener which of some events it lacks. It stands in the listener's queue behind these events.
type RollCall struct {
	// Source is whose events these are; its relays take the answer.
	Source string `json:"source"`
	// Listener is who is asked.
	Listener string `json:"listener"`
	// Until names the call in the answer.
	Until time.Time `json:"until"`
	// Events are those asked about.
	Events []Asked `json:"events"`
}

// Asked is one event of a roll call.
type Asked struct {
	ID   string `json:"id"`
	Type string `json:"type"`
}

// Answer is what a listener says to a roll call.
type Answer struct {
	Source   string    `json:"source"`
	Listener string    `json:"listener"`
	Until    time.Time `json:"until"`
	// Unknown are the ids of the events that the listener wants and does not have.
	Unknown []string `json:"unknown"`
}

func isRollCall(d amqp.Delivery) bool { return d.ContentType == rollCallType }

// decodeRollCall reads a roll call to this listener.
func decodeRollCall(body []byte, listener string) (call RollCall, err error) {
	if err = json.Unmarshal(body, &call); err != nil {
		return call, err
	}
	switch {
	case call.Listener != listener:
		return call, fmt.Errorf("it is to listener %q", call.Listener)
	case call.Source == "" || call.Until.IsZero():
		return call, errors.New("it names no source or no end")
	}
	for _, event := range call.Events {
		if strings.ContainsRune(event.ID, 0) {
			return call, errors.New("it asks about an id with a NUL in it")
		}
	}
	return call, nil
}

// decodeAnswer reads an answer to a source.
func decodeAnswer(d amqp.Delivery, source string) (answer Answer, err error) {
	if d.ContentType != answerType {
		return answer, fmt.Errorf("its content type is %q", d.ContentType)
	}
	if err = json.Unmarshal(d.Body, &answer); err != nil {
		return answer, err
	}
	if answer.Source != source || answer.Listener == "" || answer.Until.IsZero() {
		return answer, fmt.Errorf("it is to source %q, of listener %q", answer.Source, answer.Listener)
	}
	for _, id := range answer.Unknown {
		if strings.ContainsRune(id, 0) {
			return answer, errors.New("it names an id with a NUL in it")
		}
	}
	return answer, nil
}

// Attended reports whether anything consumes from the listener's queue. Where the queue is missing it is made again, like all that this
// publisher declares, and the answer is no.
func (p *Publisher) Attended(ctx context.Context, listener string) (bool, error) {
	conn, err := p.connections.get(ctx, publishWait)
	if err != nil {
		return false, err
	}
	var queue amqp.Queue
	err = conn.bounded(ctx, func() error {
		ch, err := conn.amqp.Channel()
		if err != nil {
			return fmt.Errorf("open a channel: %w", err)
		}
		if queue, err = ch.QueueDeclarePassive(p.settings.queue(listener), durable, autoDelete, exclusive, noWait, nil); err != nil {
			return err
		}
		return ch.Close()
	})
	if missing(err) {
		return false, p.declareAgain(ctx)
	}
	if err != nil {
		return false, fmt.Errorf("look at the queue of listener %s: %w", listener, err)
	}
	return queue.Consumers > 0, nil
}

// Call puts a roll call into its listener's queue, and into no other. ErrReturned means that no consumer has bound the queue for it: the
// binding was lost, or the consumer is of an older version; the topology has then been declared again. The other errors are those of Publish.
func (p *Publisher) Call(ctx context.Context, call RollCall) error {
	body, err := json.Marshal(call)
	if err != nil {
		return err
	}
	id := fmt.Sprintf("roll-call/%s/%s/%s", call.Source, call.Listener, call.Until.Format(time.RFC3339Nano))
	err = p.publish(ctx, []outgoing{{
		exchange: p.settings.directExchange(), key: p.settings.queue(call.Listener),
		Publishing: carrying(rollCallType, id, "roll-call", body),
	}})[0]
	return p.mended(ctx, err)
}

// Fill puts events into the queue of one listener, in this order, and into no other queue. Nil means that all of them are there; otherwise
// some may be.
func (p *Publisher) Fill(ctx context.Context, listener string, messages []listen.Message) error {
	list := make([]outgoing, len(messages))
	for i, message := range messages {
		list[i] = outgoing{exchange: p.settings.directExchange(), key: p.settings.queue(listener), Publishing: carryingEvent(message)}
	}
	var first error
	for _, err := range p.publish(ctx, list) {
		if first == nil {
			first = err
		}
	}
	return p.mended(ctx, first)
}

// mended returns err, and declares the topology again where it says that some of it is missing.
func (p *Publisher) mended(ctx context.Context, err error) error {
	if errors.Is(err, ErrReturned) {
		return errors.Join(err, p.declareAgain(ctx))
	}
	return err
}

// declareAgain declares everything anew, after redeclareAfter.
func (p *Publisher) declareAgain(ctx context.Context) error {
	if !backoff.Wait(ctx, redeclareAfter, nil) {
		return ctx.Err()
	}
	conn, err := p.connections.get(ctx, publishWait)
	if err == nil {
		err = conn.bounded(ctx, func() error { return p.declareAll(conn) })
	}
	if err != nil {
		return fmt.Errorf("declare the queues again: %w", err)
	}
	p.redeclareAt.Store(0)
	return nil
}
