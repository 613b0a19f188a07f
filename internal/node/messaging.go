package node

import (
	"context"
	"errors"
	"os"
	"strings"

	"example.com/orderly/events/listen"
	"example.com/orderly/events/local"
	"example.com/orderly/events/rabbit"
	"example.com/orderly/internal/node/lifecycle"
	"example.com/orderly/internal/outbox"
	"example.com/orderly/internal/system"
	"example.com/orderly/workers"
)

// messaging is how events leave and reach a process. What the process has no use for is nil.
type messaging struct {
	outboxes  []*outbox.Outbox // that this process relays
	inboxes   []*listen.Inbox  // that this process works off
	relay     *workers.Relay
	caller    *workers.RollCaller // nil where events are delivered in-process: they are published when every listener has them
	publisher *rabbit.Publisher   // nil where events are delivered in-process, like consumer
	consumer  *rabbit.Consumer
}

// open opens what carries events to the inboxes and away from the outboxes: RabbitMQ where it is named, otherwise straight from this
// process's outboxes into its inboxes. subscriptions are those of all built-in listeners, since a publisher makes their queues.
func (m *messaging) open(ctx context.Context, p process, id system.ID, roles []string, subscriptions []listen.Subscription) (err error) {
	if len(m.inboxes) > 0 {
		p.metrics.MustRegister(listen.Collector(m.inboxes))
	}
	var transport workers.Transport
	if len(m.outboxes) == 0 && len(m.inboxes) == 0 {
		return nil
	}
	if p.cfg.RabbitMQURL != "" {
		transport, err = m.openRabbit(ctx, p, id, roles, subscriptions)
	} else if len(m.outboxes) > 0 {
		transport, err = local.New(m.inboxes...)
	}
	if err == nil && len(m.outboxes) > 0 {
		m.relay, err = workers.NewRelay(m.outboxes, transport, p.metrics, p.log)
	}
	if err == nil && m.publisher != nil {
		m.caller, err = workers.NewRollCaller(m.outboxes, m.publisher, subscriptions, workers.RollCallPeriods(), p.metrics, p.log)
	}
	return err
}

func (m *messaging) openRabbit(
	ctx context.Context, p process, id system.ID, roles []string, subscriptions []listen.Subscription,
) (_ workers.Transport, err error) {
	host, _ := os.Hostname() // part of the connection's name, which RabbitMQ shows to operators
	broker := rabbit.Config{
		URL: p.cfg.RabbitMQURL, Prefix: p.cfg.RabbitMQPrefix, System: id, Log: p.log, Name: "orderly " + strings.Join(roles, ",") + "@" + host,
	}
	if err := checkBroker(ctx, p, broker); err != nil {
		return nil, err
	}
	if len(m.inboxes) > 0 {
		if m.consumer, err = rabbit.NewConsumer(broker, m.inboxes...); err != nil {
			return nil, err
		}
		p.metrics.MustRegister(m.consumer)
	}
	if len(m.outboxes) == 0 {
		return nil, nil
	}
	if m.publisher, err = rabbit.NewPublisher(broker, subscriptions...); err != nil {
		return nil, err
	}
	p.closers.Add(m.publisher.Close)
	p.metrics.MustRegister(m.publisher)
	return m.publisher, nil
}

// checkBroker returns an error only where waiting can't mend it. It reports a broker that is not up yet: publisher and consumer wait for it.
func checkBroker(ctx context.Context, p process, broker rabbit.Config) error {
	err := lifecycle.Briefly(ctx, func(ctx context.Context) error { return rabbit.Check(ctx, broker) })
	if errors.Is(err, rabbit.ErrSetup) {
		return err
	}
	if err != nil {
		p.say("Waiting for RabbitMQ (RABBITMQ_URL): " + err.Error())
	}
	return nil
}

// ping asks the broker; nil where events are delivered in-process.
func (m *messaging) ping() func(ctx context.Context) error {
	switch {
	case m.publisher != nil:
		return m.publisher.Ping
	case m.consumer != nil:
		return m.consumer.Ping
	}
	return nil
}
