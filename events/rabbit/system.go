package rabbit

import (
	"context"
	"errors"
	"fmt"
	"strings"

	amqp "github.com/rabbitmq/amqp091-go"

	"example.com/orderly/events/listen"
	"example.com/orderly/internal/system"
)

// Which system a prefix serves is the argument alternate-exchange of an exchange that nothing publishes to. It is one of the few arguments of
// an exchange that RabbitMQ compares when the exchange is declared again, so that declaring it is claiming, and the second to come is told
// who was first. The alternate exchange itself is never made; its name begins with the prefix because the user needs rights to it.

func (c settings) systemExchange() string { return c.Prefix + ".system" }

func (c settings) systemMark(id system.ID) string { return c.systemExchange() + "-" + string(id) }

// unreadable stands for an id that RabbitMQ has cut off: its texts end after 255 bytes, and a long prefix is in them three times.
const unreadable = system.ID("(RabbitMQ cut its id off; rabbitmqctl list_exchanges name arguments shows it)")

// claim claims the prefix for the system of the settings. The error is an ErrSetup, and a system.OtherError, where it serves another.
func (c settings) claim(conn *connection) error {
	if c.System == "" {
		return nil
	}
	ch, err := conn.amqp.Channel()
	if err != nil {
		return fmt.Errorf("open a channel: %w", err)
	}
	if err := c.declareSystem(ch, c.System); err != nil {
		return err
	}
	return ch.Close()
}

func (c settings) declareSystem(ch *amqp.Channel, id system.ID) error {
	err := ch.ExchangeDeclare(c.systemExchange(), amqp.ExchangeDirect, durable, autoDelete, internal, noWait, amqp.Table{
		"alternate-exchange": c.systemMark(id),
	})
	if err == nil {
		return nil
	}
	broker, answered := errors.AsType[*amqp.Error](err)
	if !answered || broker.Code != amqp.PreconditionFailed {
		return c.refused(err, "declare", "exchange", c.systemExchange())
	}
	other := &system.OtherError{
		Place: fmt.Sprintf("ORDERLY_RABBITMQ_PREFIX: the prefix %q of RabbitMQ at %s", c.Prefix, c.where), Bears: c.markedBy(broker.Reason), Ours: id,
		Remedy: "name another prefix",
	}
	return setupError{cause: other, text: other.Error()}
}

// markedBy is the id in RabbitMQ's refusal: "... received '<ours>' but current is '<theirs>'".
func (c settings) markedBy(reason string) system.ID {
	_, current, found := strings.Cut(reason, " but current is ")
	_, id, _ := strings.Cut(current, "'"+c.systemMark(""))
	id, _, closed := strings.Cut(id, "'")
	switch {
	case found && !strings.Contains(current, c.systemMark("")) && !strings.HasSuffix(current, "..."):
		return "" // an exchange of another make
	case id == "" || !closed:
		return unreadable
	}
	return system.ID(id)
}

// Serves returns which system the prefix serves: empty where it is free, and cfg.System, which is required, where it is ours. It claims nothing.
func Serves(ctx context.Context, cfg Config) (id system.ID, err error) {
	err = withChannel(ctx, cfg, "look", func(c settings, ch *amqp.Channel) error {
		err := ch.ExchangeDeclarePassive(c.systemExchange(), amqp.ExchangeDirect, durable, autoDelete, internal, noWait, nil)
		if missing(err) {
			return nil
		}
		if err != nil {
			return c.refused(err, "look at", "exchange", c.systemExchange())
		}
		id = c.System
		return c.declareSystem(ch, c.System)
	})
	if other := new(system.OtherError); errors.As(err, &other) {
		return other.Bears, nil
	}
	return id, err
}

// Adopt makes the prefix serve cfg.System in place of giveUp. The error is a system.OtherError where it serves neither.
func Adopt(ctx context.Context, cfg Config, giveUp system.ID) error {
	return withChannel(ctx, cfg, "adopt", func(c settings, ch *amqp.Channel) error {
		if err := c.declareSystem(ch, giveUp); err != nil {
			return err
		}
		if err := ch.ExchangeDelete(c.systemExchange(), ifUnused, noWait); err != nil {
			return c.refused(err, "delete", "exchange", c.systemExchange())
		}
		return c.declareSystem(ch, c.System)
	})
}

// Consumed returns which of the subscriptions' queues are being consumed from.
func Consumed(ctx context.Context, cfg Config, subscriptions ...listen.Subscription) (queues []string, err error) {
	for _, subscription := range subscriptions {
		err := withChannel(ctx, cfg, "look", func(c settings, ch *amqp.Channel) error {
			queue, err := ch.QueueDeclarePassive(c.queue(subscription.Name), durable, autoDelete, exclusive, noWait, nil)
			if missing(err) {
				return nil
			}
			if err != nil {
				return c.refused(err, "look at", "queue", c.queue(subscription.Name))
			}
			if queue.Consumers > 0 {
				queues = append(queues, queue.Name)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return queues, nil
}
