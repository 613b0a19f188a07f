package rabbit

import (
	"context"
	"fmt"
	"slices"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"example.com/orderly/events"
	"example.com/orderly/events/listen"
)

// deliveryLimit is how often the broker delivers a message that is never acknowledged before it moves it to the dead-letter queue: the
// message may be what ends the process. It is high because each lost connection counts as a delivery of every message that was not yet
// acknowledged. It is set because the default is none up to 3.13 and 20 from 4.0.
const deliveryLimit = 100

// redeclareAfter is the wait before a queue that has gone missing is declared again. If it is back within milliseconds, RabbitMQ 3.10
// attaches the old consumers to the new queue and delivers nothing to them, instead of cancelling them.
const redeclareAfter = time.Second

// allTypes is the binding key of a listener that wants every type.
const allTypes = "#"

func (c settings) exchange() string           { return c.Prefix + ".events" }
func (c settings) deadExchange() string       { return c.Prefix + ".dead" }
func (c settings) directExchange() string     { return c.Prefix + ".direct" }
func (c settings) queue(name string) string   { return c.Prefix + "." + name }
func (c settings) deadQueue(of string) string { return c.Prefix + "." + of + ".dead" }

// answerQueue is where listeners answer the roll calls of a source. No listener's name has a colon, so none has this queue.
func (c settings) answerQueue(source string) string { return c.Prefix + ".roll-call:" + source }

// Declare makes the exchange, and for each subscription its queue with its bindings and its dead-letter queue. Idempotent. ErrSetup
// when one exists with other arguments or the user lacks a right. Publisher and Consumer do this by themselves; called before
// them, nothing that is published while no consumer has run yet is missed.
func Declare(ctx context.Context, cfg Config, subscriptions ...listen.Subscription) error {
	return withChannel(ctx, cfg, "declare", func(c settings, ch *amqp.Channel) error {
		for _, subscription := range subscriptions {
			if err := c.declare(ch, subscription); err != nil {
				return err
			}
			if err := c.unbind(ch, subscription); err != nil {
				return err
			}
		}
		return c.declareExchanges(ch)
	})
}

// Remove deletes what Declare makes, for these subscriptions and the exchanges: what waits in the queues is lost. It is for tests and
// for taking a system down.
func Remove(ctx context.Context, cfg Config, subscriptions ...listen.Subscription) error {
	return withChannel(ctx, cfg, "remove", func(c settings, ch *amqp.Channel) error {
		for _, subscription := range subscriptions {
			for _, queue := range []string{c.queue(subscription.Name), c.deadQueue(subscription.Name)} {
				if _, err := ch.QueueDelete(queue, ifUnused, ifEmpty, noWait); err != nil {
					return c.refused(err, "delete", "queue", queue)
				}
			}
		}
		for _, exchange := range []string{c.exchange(), c.deadExchange(), c.directExchange(), c.systemExchange()} {
			if err := ch.ExchangeDelete(exchange, ifUnused, noWait); err != nil {
				return c.refused(err, "delete", "exchange", exchange)
			}
		}
		return nil
	})
}

// RemoveAnswers deletes the queues in which the relays of these sources take the answers to their roll calls. A running relay makes its
// queue anew.
func RemoveAnswers(ctx context.Context, cfg Config, sources ...string) error {
	return withChannel(ctx, cfg, "remove", func(c settings, ch *amqp.Channel) error {
		for _, source := range sources {
			if _, err := ch.QueueDelete(c.answerQueue(source), ifUnused, ifEmpty, noWait); err != nil {
				return c.refused(err, "delete", "queue", c.answerQueue(source))
			}
		}
		return nil
	})
}

func withChannel(ctx context.Context, cfg Config, role string, calls func(settings, *amqp.Channel) error) error {
	c, err := newSettings(cfg)
	if err != nil {
		return err
	}
	conn, err := c.dial(ctx, role)
	if err != nil {
		return err
	}
	defer conn.close()
	return conn.bounded(ctx, func() error {
		ch, err := conn.amqp.Channel()
		if err != nil {
			return fmt.Errorf("open a channel: %w", err)
		}
		return calls(c.on(conn), ch)
	})
}

func (c settings) declareExchanges(ch *amqp.Channel) error {
	for _, exchange := range []struct{ name, kind string }{
		{c.exchange(), amqp.ExchangeTopic}, {c.deadExchange(), amqp.ExchangeDirect}, {c.directExchange(), amqp.ExchangeDirect},
	} {
		if err := c.declareExchange(ch, exchange.name, exchange.kind); err != nil {
			return err
		}
	}
	return nil
}

// declare makes everything one listener needs and takes nothing away. The arguments are part of a queue's identity and can
// never be changed; what an operator may want to tune (length limits, consumer time-out, at-least-once dead-lettering)
// belongs in a policy.
func (c settings) declare(ch *amqp.Channel, subscription listen.Subscription) error {
	if err := c.declareExchanges(ch); err != nil {
		return err
	}
	if err := c.declareDead(ch, subscription); err != nil {
		return err
	}
	queue := c.queue(subscription.Name)
	if err := c.declareQueue(ch, queue, amqp.Table{
		amqp.QueueTypeArg:           amqp.QueueTypeQuorum,
		"x-single-active-consumer":  true,
		"x-delivery-limit":          int64(deliveryLimit),
		"x-dead-letter-exchange":    c.deadExchange(),
		"x-dead-letter-routing-key": queue,
	}); err != nil {
		return err
	}
	return c.bind(ch, subscription)
}

func (c settings) declareDead(ch *amqp.Channel, subscription listen.Subscription) error {
	queue, dead := c.queue(subscription.Name), c.deadQueue(subscription.Name)
	if err := c.declareQueue(ch, dead, amqp.Table{amqp.QueueTypeArg: amqp.QueueTypeQuorum}); err != nil {
		return err
	}
	if err := ch.QueueBind(dead, queue, c.deadExchange(), noWait, nil); err != nil {
		return c.refused(err, "bind", "queue", dead)
	}
	return nil
}

// bind binds the listener's queue to the types it wants.
func (c settings) bind(ch *amqp.Channel, subscription listen.Subscription) error {
	queue := c.queue(subscription.Name)
	for _, key := range keys(subscription) {
		if err := ch.QueueBind(queue, key, c.exchange(), noWait, nil); err != nil {
			return c.refused(err, "bind", "queue", queue)
		}
	}
	return nil
}

// bindDirect binds the listener's queue to what is for this listener alone: roll calls, and the events that it lacks. Only a consumer does
// this, since one of an older version would take a roll call for an event that cannot be decoded.
func (c settings) bindDirect(ch *amqp.Channel, subscription listen.Subscription) error {
	queue := c.queue(subscription.Name)
	if err := ch.QueueBind(queue, queue, c.directExchange(), noWait, nil); err != nil {
		return c.refused(err, "bind", "queue", queue)
	}
	return nil
}

// unbind removes the bindings an earlier version of the listener may have left: AMQP cannot list them, but removing one that is
// not there is no error. Types that have left the catalogue are not found this way; they are no longer published.
func (c settings) unbind(ch *amqp.Channel, subscription listen.Subscription) error {
	wanted := keys(subscription)
	stale := []string{allTypes}
	for _, payload := range events.Catalogue() {
		stale = append(stale, payload.EventType())
	}
	for _, key := range stale {
		if slices.Contains(wanted, key) {
			continue
		}
		if err := ch.QueueUnbind(c.queue(subscription.Name), key, c.exchange(), nil); err != nil {
			return c.refused(err, "unbind", "queue", c.queue(subscription.Name))
		}
	}
	return nil
}

func keys(subscription listen.Subscription) []string {
	if len(subscription.Types) == 0 {
		return []string{allTypes}
	}
	return subscription.Types
}
