package rabbit

import (
	"errors"
	"fmt"

	amqp "github.com/rabbitmq/amqp091-go"
)

// on is what applies on this connection.
func (c settings) on(conn *connection) settings {
	c.passive = conn.looks
	return c
}

// begin finds out whether our user may declare on this connection, and claims the prefix for the system. A user who may not can do without
// where another one has declared everything, but can't claim either.
func (c settings) begin(conn *connection) (err error) {
	if conn.looks, err = c.mayOnlyLook(conn.amqp); err != nil || conn.looks {
		return err
	}
	return c.claim(conn)
}

// mayOnlyLook reports that the broker refuses to let us declare an exchange, which is there. It asks on channels of its own: a refusal ends
// them. What else is wrong is explained where it is needed.
func (c settings) mayOnlyLook(conn *amqp.Connection) (bool, error) {
	for _, passive := range []bool{false, true} {
		c.passive = passive
		ch, err := conn.Channel()
		if err != nil {
			return false, fmt.Errorf("open a channel: %w", err)
		}
		err = c.declareExchange(ch, c.exchange(), amqp.ExchangeTopic)
		_ = ch.Close()
		if passive || code(err) != amqp.AccessRefused {
			return passive && err == nil, nil
		}
	}
	return false, nil
}

// declareExchange makes the exchange, or looks whether it is there where we may not declare.
func (c settings) declareExchange(ch *amqp.Channel, name, kind string) error {
	declare := ch.ExchangeDeclare
	if c.passive {
		declare = ch.ExchangeDeclarePassive
	}
	if err := declare(name, kind, durable, autoDelete, internal, noWait, nil); err != nil {
		return c.refused(err, "declare", "exchange", name)
	}
	return nil
}

// declareQueue makes the queue, or looks whether it is there where we may not declare.
func (c settings) declareQueue(ch *amqp.Channel, name string, arguments amqp.Table) error {
	declare := ch.QueueDeclare
	if c.passive {
		declare = ch.QueueDeclarePassive
	}
	if _, err := declare(name, durable, autoDelete, exclusive, noWait, arguments); err != nil {
		return c.refused(err, "declare", "queue", name)
	}
	return nil
}

// code is the reply code of the broker's refusal; 0 where err is none.
func code(err error) int {
	if broker, ok := errors.AsType[*amqp.Error](err); ok && broker.Server {
		return broker.Code
	}
	return 0
}

// missing reports whether the broker has said that there is no such queue or exchange.
func missing(err error) bool { return code(err) == amqp.NotFound }

// refused explains why the broker did not do something to an exchange or a queue.
func (c settings) refused(err error, verb, kind, name string) error {
	var broker *amqp.Error
	if errors.As(err, &broker) && broker.Server {
		switch {
		case broker.Code == amqp.NotFound && c.passive:
			return setupError{cause: err, text: fmt.Sprintf("RABBITMQ_URL: the %s %q of RabbitMQ at %s is not there and user %q may not declare "+
				"it (%s); have it declared, such as by orderly serve with another user, or %s", kind, name, c.where, c.uri.Username,
				broker.Reason, c.grant())}
		case broker.Code == amqp.PreconditionFailed:
			return setupError{cause: err, text: fmt.Sprintf("the %s %q of RabbitMQ at %s exists with other settings than ours (%s); when "+
				"nothing waits in it, delete it (rabbitmqctl delete_queue, or the management UI) and it is made anew; else move what "+
				"waits away first", kind, name, c.where, broker.Reason)}
		case broker.Code == amqp.AccessRefused:
			return setupError{cause: err, text: fmt.Sprintf("RABBITMQ_URL: user %q may not %s the %s %q of RabbitMQ at %s (%s); %s",
				c.uri.Username, verb, kind, name, c.where, broker.Reason, c.grant())}
		}
	}
	return fmt.Errorf("%s the %s %s: %w", verb, kind, name, err)
}

// grant is the command that gives our user the rights it needs.
func (c settings) grant() string {
	return fmt.Sprintf(`run rabbitmqctl set_permissions -p %s %s '^%[3]s\..*' '^%[3]s\..*' '^%[3]s\..*'`, c.uri.Vhost, c.uri.Username, c.Prefix)
}
