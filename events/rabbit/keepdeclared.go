package rabbit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"example.com/orderly/internal/backoff"
)

// quietPeriods is how many periods of DeclareEvery may pass without a delivery before a consumer subscribes anew.
const quietPeriods = 2

var errMissing = errors.New("the queue is gone")

// keepDeclared declares what the queue needs again and again, so that a binding or an exchange that was removed comes back. It does not
// declare the queue itself; see redeclareAfter. It returns nil when ctx ends, and otherwise why consuming must begin anew: the queue is gone,
// or nothing has come for so long that the broker may deliver to a consumer that it has lost.
func (q *queueConsumer) keepDeclared(ctx context.Context, conn *connection) error {
	for backoff.Wait(ctx, q.DeclareEvery, nil) {
		if time.Since(time.Unix(0, q.heard.Load())) > quietPeriods*q.DeclareEvery {
			return errQuiet
		}
		// Not under ctx, whose end would kill the connection; see consumeOnce.
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		err := conn.bounded(bounded, func() error { return q.declareAround(conn) })
		cancel()
		if missing(err) {
			return fmt.Errorf("%w: %w", errMissing, err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// declareAround declares everything but the queue, on a channel of its own, which a refusal ends.
func (q *queueConsumer) declareAround(conn *connection) error {
	ch, err := conn.amqp.Channel()
	if err != nil {
		return fmt.Errorf("open a channel: %w", err)
	}
	defer func() { _ = ch.Close() }()
	c := q.on(conn)
	for _, declare := range []func() error{
		func() error { return c.declareExchanges(ch) },
		func() error { return c.declareDead(ch, q.listener) },
		func() error { return c.bind(ch, q.listener) },
		func() error { return c.bindDirect(ch, q.listener) },
	} {
		if err := declare(); err != nil {
			return err
		}
	}
	return nil
}

// sign notes down that the consumer is alive.
func (q *queueConsumer) sign() { q.heard.Store(time.Now().UnixNano()) }
