package rabbit

import (
	"context"
	"errors"
	"fmt"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// stopQuiet is the pause in deliveries after which, when stopping, no more of them are expected.
const stopQuiet = 100 * time.Millisecond

var (
	errCancelled = errors.New("the broker has cancelled the consumer: its queue is gone or has moved, or it was idle with deliveries for too long")
	errEnded     = errors.New("the channel has ended")
)

// intake receives the deliveries of one channel and keeps those that are not stored yet.
type intake struct {
	ch         *amqp.Channel
	deliveries <-chan amqp.Delivery
	ended      <-chan *amqp.Error
	// held is what was delivered and is not stored yet, the oldest first.
	held []amqp.Delivery
	// failures counts the attempts in a row that have stored nothing of held.
	failures int
}

// newIntake copies the deliveries into a buffered channel, so that receive finds all that have come by then: the client's own channel has
// no buffer. The goroutine never blocks, because never more than the prefetch is delivered and not acknowledged, and ends with the channel.
func newIntake(ch *amqp.Channel, deliveries <-chan amqp.Delivery) *intake {
	arrived := make(chan amqp.Delivery, prefetch)
	go func() {
		defer close(arrived)
		for d := range deliveries {
			arrived <- d
		}
	}()
	return &intake{ch: ch, deliveries: arrived, ended: ch.NotifyClose(make(chan *amqp.Error, 1))}
}

// receive waits until a message is held, and adds what else has been delivered by now: up to batchSize, and after a failure up to prefetch,
// since isPoison looks for a message of another subject. It reports false when ctx has ended; the error says why no more will come by this
// channel.
func (in *intake) receive(ctx context.Context) (bool, error) {
	if len(in.held) == 0 {
		select {
		case d, open := <-in.deliveries:
			if !open {
				return false, in.endReason()
			}
			in.held = append(in.held, d)
		case <-ctx.Done():
			return false, nil
		}
	}
	limit := batchSize
	if in.failures > 0 {
		limit = prefetch
	}
	for len(in.held) < limit {
		select {
		case d, open := <-in.deliveries:
			if !open {
				return false, in.endReason()
			}
			in.held = append(in.held, d)
		default:
			return true, nil
		}
	}
	return true, nil
}

// receiveLast adds what has been delivered when the process is to stop.
func (in *intake) receiveLast() {
	for len(in.held) < prefetch {
		select {
		case d, open := <-in.deliveries:
			if !open {
				return
			}
			in.held = append(in.held, d)
		case <-time.After(stopQuiet):
			return
		}
	}
}

// wait waits for the pause. It reports false when ctx has ended; the error says that the channel ended meanwhile.
func (in *intake) wait(ctx context.Context, pause time.Duration) (bool, error) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true, nil
	case err := <-in.ended:
		return false, channelError(err)
	case <-ctx.Done():
		return false, nil
	}
}

// endReason says how deliveries came to an end: with their channel, or, while that is open, by the broker.
func (in *intake) endReason() error {
	if !in.ch.IsClosed() {
		return errCancelled
	}
	return channelError(<-in.ended)
}

func channelError(err *amqp.Error) error {
	if err == nil {
		return errEnded
	}
	return fmt.Errorf("%w: %w", errEnded, err)
}
