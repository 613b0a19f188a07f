package rabbit

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"example.com/orderly/events/listen"
)

// Consumer stores what arrives in the queues of the listeners of some inboxes in these inboxes.
type Consumer struct {
	connections *manager
	answers     *manager // of answers to roll calls
	queues      []*queueConsumer
	stored      *prometheus.CounterVec
	late        *prometheus.CounterVec
	dead        *prometheus.CounterVec
	paused      *prometheus.GaugeVec
	started     bool
}

// NewConsumer returns the consumer for every listener of these inboxes. The error is an ErrSetup about the URL, or that two
// listeners have the same name.
func NewConsumer(cfg Config, inboxes ...*listen.Inbox) (*Consumer, error) {
	s, err := newSettings(cfg)
	if err != nil {
		return nil, err
	}
	if err := listen.Unique(inboxes...); err != nil {
		return nil, err
	}
	c := &Consumer{
		connections: newManager(s, "consumer", nil),
		answers:     newManager(s, "answers", nil),
		stored: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "orderly_rabbit_stored_total", Help: "Deliveries stored in a listener's inbox, redeliveries among them.",
		}, []string{"listener"}),
		late: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "orderly_rabbit_late_total", Help: "Events filled in after a later one of their subject had been applied.",
		}, []string{"listener"}),
		dead: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "orderly_rabbit_dead_lettered_total", Help: "Deliveries an inbox could not take, moved to the listener's dead-letter queue.",
		}, []string{"listener"}),
		paused: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "orderly_rabbit_paused", Help: "1 while consuming waits for the listener's database.",
		}, []string{"listener"}),
	}
	for _, inbox := range inboxes {
		for _, listener := range inbox.Subscriptions() {
			c.queues = append(c.queues, &queueConsumer{
				settings: s, connections: c.connections, answers: c.answers, inbox: inbox, listener: listener,
				log:    s.Log.With("listener", listener.Name),
				stored: c.stored.WithLabelValues(listener.Name), late: c.late.WithLabelValues(listener.Name),
				dead: c.dead.WithLabelValues(listener.Name), paused: c.paused.WithLabelValues(listener.Name),
			})
		}
	}
	return c, nil
}

// Describe implements prometheus.Collector.
func (c *Consumer) Describe(descriptions chan<- *prometheus.Desc) {
	prometheus.DescribeByCollect(c, descriptions)
}

// Collect implements prometheus.Collector.
func (c *Consumer) Collect(metrics chan<- prometheus.Metric) {
	metrics <- c.connections.opened
	metrics <- c.answers.opened
	c.stored.Collect(metrics)
	c.late.Collect(metrics)
	c.dead.Collect(metrics)
	c.paused.Collect(metrics)
}

// Ping connects if need be and returns why that cannot be done now.
func (c *Consumer) Ping(ctx context.Context) error {
	_, err := c.connections.get(ctx, time.Second)
	return err
}

// Run consumes until ctx ends, then stores what has been delivered, acknowledges it and returns nil. A broker that is away is
// waited for. The error is an ErrSetup that was met before the listener has consumed anything; one that comes up later is
// logged, and tried again. Run is called once.
func (c *Consumer) Run(ctx context.Context) error {
	if c.started {
		return errors.New("a consumer runs once")
	}
	c.started = true
	defer c.connections.close()
	defer c.answers.close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var all sync.WaitGroup
	for _, q := range c.queues {
		all.Go(func() {
			if err := q.run(ctx); err != nil {
				cancel(err)
			}
		})
	}
	<-ctx.Done() // also when there is no listener at all
	all.Wait()
	if err := context.Cause(ctx); errors.Is(err, ErrSetup) {
		return err
	}
	return nil
}
