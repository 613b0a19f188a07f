package rabbit

import (
	"context"
	"errors"
	"fmt"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"example.com/orderly/internal/backoff"
)

// answersAhead is how many answers may be delivered and not acknowledged yet.
const answersAhead = 10

// errQuiet ends a consumer that has received nothing for long, so that it subscribes anew; see redeclareAfter.
var errQuiet = errors.New("nothing has come for a while")

// Answers hands the answers to the roll calls of a source to take, one after the other, until ctx ends. An answer is forgotten once take has
// returned; one that is lost is given again after another call. Each answer goes to one of the processes that take those of a source. A
// broker that is away is waited for.
func (p *Publisher) Answers(ctx context.Context, source string, take func(ctx context.Context, answer Answer)) {
	for failures := 0; ctx.Err() == nil; {
		began := time.Now()
		err := p.answersOnce(ctx, source, take)
		if ctx.Err() != nil || errors.Is(err, errQuiet) {
			continue
		}
		if time.Since(began) > time.Minute {
			failures = 0
		}
		if failures++; failures == 1 {
			p.settings.Log.Warn("taking answers to roll calls was interrupted and begins anew", "source", source, "error", err)
		}
		backoff.Wait(ctx, max(pause(failures), redeclareAfter), nil)
	}
}

// answersOnce takes answers on a channel of its own until that ends, or until ctx does.
func (p *Publisher) answersOnce(ctx context.Context, source string, take func(ctx context.Context, answer Answer)) error {
	conn, err := p.connections.get(ctx, time.Second)
	if err != nil {
		return err
	}
	calls := func(do func() error) error { // not under ctx, whose end would kill the connection; see consumeOnce
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		return conn.bounded(bounded, do)
	}
	var ch *amqp.Channel
	var deliveries <-chan amqp.Delivery
	if err := calls(func() (err error) {
		ch, deliveries, err = p.settings.on(conn).subscribeAnswers(conn, source)
		return err
	}); err != nil {
		return err
	}
	defer func() { _ = calls(ch.Close) }()
	tick := time.NewTicker(p.settings.DeclareEvery)
	defer tick.Stop()
	heard := time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case d, open := <-deliveries:
			if !open {
				return errCancelled
			}
			heard = time.Now()
			p.takeAnswer(ctx, source, d, take)
			if err := d.Ack(!upToThis); err != nil {
				return fmt.Errorf("acknowledge an answer: %w", err)
			}
		case <-tick.C:
			if time.Since(heard) > quietPeriods*p.settings.DeclareEvery {
				return errQuiet
			}
			if err := calls(func() error { return p.settings.on(conn).bindAnswers(ch, source) }); err != nil {
				return err
			}
		}
	}
}

func (p *Publisher) takeAnswer(ctx context.Context, source string, d amqp.Delivery, take func(ctx context.Context, answer Answer)) {
	answer, err := decodeAnswer(d, source)
	if err != nil {
		p.settings.Log.Warn("dropped what is no answer to a roll call", "queue", p.settings.answerQueue(source), "error", err)
		return
	}
	take(ctx, answer)
}

func (c settings) subscribeAnswers(conn *connection, source string) (*amqp.Channel, <-chan amqp.Delivery, error) {
	ch, err := conn.amqp.Channel()
	if err != nil {
		return nil, nil, fmt.Errorf("open a channel: %w", err)
	}
	deliveries, err := func() (<-chan amqp.Delivery, error) {
		queue := c.answerQueue(source)
		if err := c.declareQueue(ch, queue, amqp.Table{
			amqp.QueueTypeArg: amqp.QueueTypeQuorum, "x-delivery-limit": int64(deliveryLimit),
		}); err != nil {
			return nil, err
		}
		if err := c.bindAnswers(ch, source); err != nil {
			return nil, err
		}
		if err := ch.Qos(answersAhead, anySize, globalQos); err != nil {
			return nil, fmt.Errorf("set the prefetch: %w", err)
		}
		deliveries, err := ch.Consume(queue, "", autoAck, exclusive, noLocal, noWait, nil)
		if err != nil {
			return nil, c.refused(err, "consume", "queue", queue)
		}
		return deliveries, nil
	}()
	if err != nil {
		_ = ch.Close()
	}
	return ch, deliveries, err
}

// bindAnswers makes what leads to the queue for the answers to a source, which is there.
func (c settings) bindAnswers(ch *amqp.Channel, source string) error {
	if err := c.declareExchanges(ch); err != nil {
		return err
	}
	queue := c.answerQueue(source)
	if err := ch.QueueBind(queue, queue, c.directExchange(), noWait, nil); err != nil {
		return c.refused(err, "bind", "queue", queue)
	}
	return nil
}
