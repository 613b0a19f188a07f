package rabbit

import (
	"context"
	"fmt"

	amqp "github.com/rabbitmq/amqp091-go"

	"example.com/orderly/events"
	"example.com/orderly/events/listen"
)

const (
	// maxBody is what a broker takes at most from 4.0 on; a larger one would end the channel, and with it the whole batch.
	maxBody = 16 << 20
	// maxShort is what fits into a short string of the protocol.
	maxShort = 255
)

// outgoing is a message with where it goes.
type outgoing struct {
	exchange, key string
	amqp.Publishing
}

// confirmChannel is one channel in confirm mode, used by one batch at a time.
type confirmChannel struct {
	channel *amqp.Channel
	returns chan amqp.Return
	closed  chan *amqp.Error
	// unconfirmed are the confirms of an earlier batch whose context ended before they came. While there are any, nothing more is sent, so
	// that returns never holds more than inFlight: the client drops what does not fit, and a lost return is a lost event.
	unconfirmed []*amqp.DeferredConfirmation
}

func openConfirmChannel(conn *connection) (*confirmChannel, error) {
	ch, err := conn.amqp.Channel()
	if err == nil {
		err = ch.Confirm(noWait)
	}
	if err != nil {
		return nil, fmt.Errorf("open a channel with confirms: %w", err)
	}
	return &confirmChannel{
		channel: ch, returns: ch.NotifyReturn(make(chan amqp.Return, inFlight)), closed: ch.NotifyClose(make(chan *amqp.Error, 1)),
	}, nil
}

// publish sends the messages, waits for their confirms, and writes the outcome of each into results.
func (c *confirmChannel) publish(ctx context.Context, conn *connection, messages []outgoing, results []error) {
	confirms := make([]*amqp.DeferredConfirmation, len(messages))
	if c.catchUp(ctx); len(c.unconfirmed) == 0 {
		c.drain() // returns of the batch before, all of which was reported as not confirmed
		c.send(ctx, conn, messages, results, confirms)
	}
	for i, confirm := range confirms {
		if confirm == nil {
			if results[i] == nil {
				results[i] = fmt.Errorf("%w: not sent, an earlier batch is still on its way", ErrUnconfirmed)
			}
			continue
		}
		acked, err := confirm.WaitContext(ctx)
		switch {
		case err != nil:
			c.unconfirmed = append(c.unconfirmed, confirm)
			results[i] = fmt.Errorf("%w: %w", ErrUnconfirmed, err)
		case !acked && c.channel.IsClosed():
			results[i] = fmt.Errorf("%w: %w", ErrUnconfirmed, c.why(conn))
		case !acked:
			results[i] = ErrNacked
		}
	}
	// The client reads a return before the confirm that follows it, so all returns of these messages are here by now.
	returned := c.drain()
	for i, message := range messages {
		if results[i] == nil && returned[message.MessageId] {
			results[i] = fmt.Errorf("%w: exchange %s, routing key %s", ErrReturned, message.exchange, message.key)
		}
	}
	// A broker that neither confirms nor blocks is taken to be out of reach. A channel that it has closed can't be used again either.
	if c.channel.IsClosed() || len(c.unconfirmed) > 0 && conn.blockedUntil() == nil {
		conn.kill()
	}
}

// catchUp waits for the confirms of the batch before.
func (c *confirmChannel) catchUp(ctx context.Context) {
	for len(c.unconfirmed) > 0 {
		if _, err := c.unconfirmed[0].WaitContext(ctx); err != nil {
			return
		}
		c.unconfirmed = c.unconfirmed[1:]
	}
}

// send writes the messages without waiting for confirms. A write that hangs in the socket holds locks of the client and knows
// no context, so the connection is killed when ctx ends.
func (c *confirmChannel) send(ctx context.Context, conn *connection, messages []outgoing, results []error, confirms []*amqp.DeferredConfirmation) {
	defer context.AfterFunc(ctx, conn.kill)()
	for i, message := range messages {
		if results[i] = sendable(message); results[i] != nil {
			continue
		}
		if conn.blockedUntil() != nil {
			results[i] = ErrBlocked
			continue
		}
		var err error
		confirms[i], err = c.channel.PublishWithDeferredConfirmWithContext(ctx, message.exchange, message.key, mandatory, immediate, message.Publishing)
		if err != nil {
			confirms[i], results[i] = nil, fmt.Errorf("%w: %w", ErrUnconfirmed, err)
		}
	}
}

func sendable(message outgoing) error {
	switch {
	case len(message.Body) > maxBody:
		return fmt.Errorf("the event has %d bytes, RabbitMQ takes %d", len(message.Body), maxBody)
	case len(message.MessageId) > maxShort || len(message.Type) > maxShort || len(message.key) > maxShort:
		return fmt.Errorf("the event's id or type is longer than the %d bytes RabbitMQ takes", maxShort)
	}
	return nil
}

// carrying is what every message of ours says about itself.
func carrying(contentType, id, kind string, body []byte) amqp.Publishing {
	return amqp.Publishing{
		ContentType: contentType, DeliveryMode: amqp.Persistent, MessageId: id, Type: kind, AppId: "orderly", Body: body,
	}
}

func carryingEvent(message listen.Message) amqp.Publishing {
	return carrying(events.ContentType, message.ID, message.Type, message.Body)
}

// drain takes the returns that have arrived, and tells the ids of their messages.
func (c *confirmChannel) drain() map[string]bool {
	var ids map[string]bool
	for {
		select {
		case r, ok := <-c.returns:
			if !ok {
				return ids
			}
			if ids == nil {
				ids = map[string]bool{}
			}
			ids[r.MessageId] = true
		default:
			return ids
		}
	}
}

// why is the reason the channel ended.
func (c *confirmChannel) why(conn *connection) error {
	select {
	case err := <-c.closed:
		if err != nil {
			return err
		}
	case <-conn.done:
		return conn.why()
	default:
	}
	return amqp.ErrClosed
}
