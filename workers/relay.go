// Package workers is what runs for long: the Temporal workers of each role, the relay from outbox to listeners, the starter of sagas, the
// sweeper that starts those which were not started, the reconciler of sagas, and the housekeeping.
package workers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"example.com/orderly/events/listen"
	"example.com/orderly/internal/backoff"
	"example.com/orderly/internal/outbox"
)

const (
	relayBatch = 200
	relayPoll  = time.Second
	// relayRest is how long the relay waits after a batch that was not full, so that the events written meanwhile share one batch. An
	// idle relay publishes the next event at once.
	relayRest = 50 * time.Millisecond
	// publishTimeout bounds the call to the transport, claimTimeout the claim before it. The lease starts with the claim and is as long as
	// both, so that a relay does not publish events which another relay may have claimed since.
	publishTimeout = 10 * time.Second
	claimTimeout   = relayLease - publishTimeout
	relayLease     = 15 * time.Second
	// recordTimeout bounds recording the outcome of a batch.
	recordTimeout = 10 * time.Second
	// longestRetry is how long an event that cannot be published waits at most before it is tried again.
	longestRetry = 30 * time.Second
	// longestPause is how long the relay waits at most between two tries of a database that does not answer.
	longestPause = 5 * time.Second
)

// Transport takes events over from the relay.
type Transport interface {
	// Publish returns one element per message: nil when the message is safe with the transport. It gives up when ctx ends.
	Publish(ctx context.Context, messages []listen.Message) []error
}

// Relay publishes what the outboxes hold. An event is marked published only after the transport confirmed it, so a crash in
// between publishes it twice and never loses it. Any number of relays may serve the same outbox.
type Relay struct {
	boxes     []*outbox.Outbox
	transport Transport
	log       *slog.Logger
	published *prometheus.CounterVec
	failed    *prometheus.CounterVec
}

// NewRelay returns the relay of these outboxes and registers its metrics.
func NewRelay(boxes []*outbox.Outbox, transport Transport, metrics prometheus.Registerer, log *slog.Logger) (*Relay, error) {
	r := &Relay{
		boxes: boxes, transport: transport, log: log,
		published: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "orderly_outbox_published_total", Help: "Events the transport has confirmed.",
		}, []string{"source"}),
		failed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "orderly_outbox_failed_total", Help: "Attempts to publish an event that were not confirmed.",
		}, []string{"source"}),
	}
	for _, collector := range []prometheus.Collector{r.published, r.failed, outbox.Collector(boxes)} {
		if err := metrics.Register(collector); err != nil {
			return nil, fmt.Errorf("register the relay's metrics: %w", err)
		}
	}
	return r, nil
}

// Run publishes until ctx ends, and then finishes the batch in flight. It returns nil.
func (r *Relay) Run(ctx context.Context) error {
	var all sync.WaitGroup
	for _, box := range r.boxes {
		full := make(chan struct{}, 1)
		all.Go(func() { r.serve(ctx, box, full) })
		all.Go(func() { r.help(ctx, box, full) })
	}
	all.Wait()
	return nil
}

// serve publishes one outbox, independently of the others: a database that is down stops its own events only.
func (r *Relay) serve(ctx context.Context, box *outbox.Outbox, full chan struct{}) {
	troubles := 0
	for ctx.Err() == nil {
		claimed, err := r.pass(ctx, box, full)
		if ctx.Err() != nil {
			return
		}
		if err == nil && troubles > 0 {
			r.log.Info("the relay reads its outbox again", "source", box.Source())
			troubles = 0
		}
		switch {
		case err != nil:
			if troubles == 0 {
				r.log.Warn("the relay can't use its outbox", "source", box.Source(), "error", err)
			}
			troubles++
			backoff.Wait(ctx, backoff.After(troubles, time.Second, longestPause), nil)
		case claimed == 0:
			// Refused events have next attempts of their own, so the relay does not wait for them.
			backoff.Wait(ctx, relayPoll, box.Woken())
		case claimed < relayBatch:
			backoff.Wait(ctx, relayRest, nil)
			// The next batch includes the events that woke us meanwhile.
			select {
			case <-box.Woken():
			default:
			}
		}
	}
}

// help publishes beside serve while batches are full, as a second relay would: it claims or marks one batch while the other is with the
// transport. At lower rates it would only make batches smaller.
func (r *Relay) help(ctx context.Context, box *outbox.Outbox, full chan struct{}) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-full:
		}
		if _, err := r.pass(ctx, box, full); err != nil && ctx.Err() == nil {
			r.log.Warn("the relay can't use its outbox", "source", box.Source(), "error", err)
		}
	}
}

// pass claims one batch, publishes it, and marks what the transport confirmed; full is told when more may be waiting. Events are marked
// only after they were published, so that none is lost. The error is the outbox's; a refusal of the transport is recorded with its event.
func (r *Relay) pass(ctx context.Context, box *outbox.Outbox, full chan<- struct{}) (claimed int, err error) {
	// A stopping process finishes what it claimed; otherwise these events would wait for the end of the lease.
	claiming, cancel := context.WithTimeout(context.WithoutCancel(ctx), claimTimeout)
	defer cancel()
	batch, err := box.Claim(claiming, relayBatch, relayLease)
	if err != nil || len(batch) == 0 {
		return 0, err
	}
	if len(batch) == relayBatch {
		select {
		case full <- struct{}{}:
		default:
		}
	}
	messages := make([]listen.Message, len(batch))
	for i, event := range batch {
		messages[i] = listen.Message{ID: event.ID, Type: event.Type, Body: []byte(event.Body)}
	}
	onTheWay, cancel := context.WithTimeout(context.WithoutCancel(ctx), publishTimeout)
	defer cancel()
	results := r.transport.Publish(onTheWay, messages)

	recording, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	var sent []outbox.Pending
	var first error
	for i, event := range batch {
		if results[i] == nil {
			sent = append(sent, event)
			continue
		}
		if first == nil {
			first = fmt.Errorf("publish event %s: %w", event.ID, results[i])
		}
		err = errors.Join(err, box.Failed(recording, event, results[i], backoff.After(event.Attempts+1, time.Second, longestRetry)))
	}
	err = errors.Join(err, box.MarkPublished(recording, sent))
	r.published.WithLabelValues(box.Source()).Add(float64(len(sent)))
	r.failed.WithLabelValues(box.Source()).Add(float64(len(batch) - len(sent)))
	if first != nil {
		r.log.Warn("some events were not published and will be tried again", "source", box.Source(),
			"count", len(batch)-len(sent), "error", first)
	}
	return len(batch), err
}
