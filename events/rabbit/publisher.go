package rabbit

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"example.com/orderly/events/listen"
)

const (
	// confirmChannels is how many batches are on their way at once: about one for each outbox of a process.
	confirmChannels = 4
	// inFlight bounds the messages of a channel that wait for their confirm, and with it the returns that can be waiting.
	inFlight = 500
	// publishWait is how long Publish waits for a broker that is away before it gives the batch back.
	publishWait = 3 * time.Second
)

// Publisher hands events to the broker. Safe for use by several goroutines.
type Publisher struct {
	settings      settings
	connections   *manager
	subscriptions []listen.Subscription
	// redeclareAt is when (nanoseconds since made, which a clock that is set does not change) the topology is to be declared again, because an
	// event was returned; 0 when none was.
	made        time.Time
	redeclareAt atomic.Int64
	returned    prometheus.Counter
	nacked      prometheus.Counter
}

// NewPublisher returns the publisher to a broker, whose queues for these subscriptions it declares before it publishes anything:
// after that a returned event means that a queue or a binding was removed. It connects when it is first used. The only error
// is an ErrSetup about the URL.
func NewPublisher(cfg Config, subscriptions ...listen.Subscription) (*Publisher, error) {
	s, err := newSettings(cfg)
	if err != nil {
		return nil, err
	}
	p := &Publisher{
		settings: s, subscriptions: subscriptions, made: time.Now(),
		returned: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "orderly_rabbit_returned_total", Help: "Events that no queue was bound for. Any means a broken topology.",
		}),
		nacked: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "orderly_rabbit_nacked_total", Help: "Events the broker refused.",
		}),
	}
	p.connections = newManager(s, "publisher", p.prepare)
	return p, nil
}

// Close ends the connection; Publish then fails.
func (p *Publisher) Close() error {
	p.connections.close()
	return nil
}

// Ping connects if need be and returns why that cannot be done now.
func (p *Publisher) Ping(ctx context.Context) error {
	_, err := p.connections.get(ctx, time.Second)
	return err
}

// Describe implements prometheus.Collector.
func (p *Publisher) Describe(descriptions chan<- *prometheus.Desc) {
	prometheus.DescribeByCollect(p, descriptions)
}

// Collect implements prometheus.Collector.
func (p *Publisher) Collect(metrics chan<- prometheus.Metric) {
	metrics <- p.returned
	metrics <- p.nacked
	metrics <- p.connections.opened
}

// prepare declares what the events go to and opens the confirm channels of a new connection.
func (p *Publisher) prepare(_ context.Context, conn *connection) error {
	if err := p.declareAll(conn); err != nil {
		return err
	}
	conn.free = make(chan *confirmChannel, confirmChannels)
	for range confirmChannels {
		ch, err := openConfirmChannel(conn)
		if err != nil {
			return err
		}
		conn.free <- ch
	}
	return nil
}

// declareAll declares the exchanges and the queue of each subscription. It removes no binding: a relay of an older version must not undo
// what a newer listener has bound.
func (p *Publisher) declareAll(conn *connection) error {
	ch, err := conn.amqp.Channel()
	if err != nil {
		return fmt.Errorf("open a channel: %w", err)
	}
	settings := p.settings.on(conn)
	if err := settings.declareExchanges(ch); err != nil {
		return err
	}
	for _, subscription := range p.subscriptions {
		if err := settings.declare(ch, subscription); err != nil {
			return err
		}
	}
	return ch.Close()
}

// Publish returns one element per message: nil when the broker has confirmed it and at least one queue has it on disk. Anything
// else means that it must be published again, and may then arrive twice: ErrReturned, ErrNacked, ErrBlocked, ErrUnconfirmed,
// ErrSetup, or the reason the broker cannot be reached. It returns when ctx ends, also when the broker hangs.
func (p *Publisher) Publish(ctx context.Context, messages []listen.Message) []error {
	list := make([]outgoing, len(messages))
	for i, message := range messages {
		list[i] = outgoing{exchange: p.settings.exchange(), key: message.Type, Publishing: carryingEvent(message)}
	}
	results := p.publish(ctx, list)
	for _, result := range results {
		switch {
		case errors.Is(result, ErrReturned):
			p.returned.Inc()
			p.redeclareAt.CompareAndSwap(0, int64(time.Since(p.made)+redeclareAfter))
		case errors.Is(result, ErrNacked):
			p.nacked.Inc()
		}
	}
	return results
}

func (p *Publisher) publish(ctx context.Context, messages []outgoing) []error {
	results := make([]error, len(messages))
	for done := 0; done < len(messages); done += inFlight {
		end := min(done+inFlight, len(messages))
		p.publishBatch(ctx, messages[done:end], results[done:end])
	}
	return results
}

func (p *Publisher) publishBatch(ctx context.Context, messages []outgoing, results []error) {
	ch, conn, err := p.acquire(ctx)
	if err != nil {
		for i := range results {
			results[i] = err
		}
		return
	}
	ch.publish(ctx, conn, messages, results)
	conn.free <- ch
}

// acquire takes a free channel of a connection that is up and not blocked.
func (p *Publisher) acquire(ctx context.Context) (*confirmChannel, *connection, error) {
	conn, err := p.connections.get(ctx, publishWait)
	if err != nil {
		return nil, nil, err
	}
	if unblocked := conn.blockedUntil(); unblocked != nil {
		select {
		case <-unblocked:
		case <-conn.done:
			return nil, nil, conn.why()
		case <-ctx.Done():
			return nil, nil, ErrBlocked
		}
	}
	if due := p.redeclareAt.Load(); due != 0 && int64(time.Since(p.made)) >= due && p.redeclareAt.CompareAndSwap(due, 0) {
		if err := conn.bounded(ctx, func() error { return p.declareAll(conn) }); err != nil {
			conn.kill() // the next connection begins by declaring
			return nil, nil, err
		}
	}
	select {
	case ch := <-conn.free:
		return ch, conn, nil
	case <-conn.done:
		return nil, nil, conn.why()
	case <-ctx.Done():
		return nil, nil, fmt.Errorf("wait for earlier batches: %w", ctx.Err())
	}
}
