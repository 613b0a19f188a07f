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
	"example.com/orderly/events/rabbit"
	"example.com/orderly/internal/backoff"
	"example.com/orderly/internal/outbox"
)

const (
	rollCallEvery    = 30 * time.Second
	rollCallSettle   = time.Minute
	rollCallPatience = 2 * time.Minute
	// rollCallTimeout bounds making one call, or working off one answer.
	rollCallTimeout = 10 * time.Second
)

// RollCallPeriods are those that production uses.
func RollCallPeriods() outbox.Periods {
	return outbox.Periods{Every: rollCallEvery, Settle: rollCallSettle, Patience: rollCallPatience, Kept: PublishedEvents}
}

// RollCaller asks the listeners, through RabbitMQ, which of the events that were published they lack, and sends these to them alone. An event
// is marked published when one queue has it; the queue of another listener may have been missing, or its binding, or both queue and event
// may be lost since. Any number of processes may call for the same outboxes.
type RollCaller struct {
	boxes     []*outbox.Outbox
	publisher *rabbit.Publisher
	listeners []listen.Subscription
	periods   outbox.Periods
	log       *slog.Logger
	calls     *prometheus.CounterVec
	filled    *prometheus.CounterVec
}

// NewRollCaller returns the roll caller of these outboxes to these listeners, and registers its metrics.
func NewRollCaller(
	boxes []*outbox.Outbox, publisher *rabbit.Publisher, listeners []listen.Subscription, periods outbox.Periods,
	metrics prometheus.Registerer, log *slog.Logger,
) (*RollCaller, error) {
	r := &RollCaller{
		boxes: boxes, publisher: publisher, listeners: listeners, periods: periods, log: log,
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "orderly_roll_calls_total", Help: "Roll calls to a listener, by what became of them.",
		}, []string{"source", "listener", "outcome"}),
		filled: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "orderly_filled_in_total", Help: "Published events that a listener lacked and was sent again.",
		}, []string{"source", "listener"}),
	}
	for _, collector := range []prometheus.Collector{r.calls, r.filled} {
		if err := metrics.Register(collector); err != nil {
			return nil, fmt.Errorf("register the roll caller's metrics: %w", err)
		}
	}
	return r, nil
}

// Run calls and takes answers until ctx ends. It returns nil.
func (r *RollCaller) Run(ctx context.Context) error {
	var all sync.WaitGroup
	for _, box := range r.boxes {
		rolls := outbox.NewRollCalls(box, r.periods)
		for _, listener := range r.listeners {
			r.filled.WithLabelValues(box.Source(), listener.Name) // shows 0
		}
		answered := make(chan struct{}, 1)
		all.Go(func() { r.serve(ctx, box, rolls, answered) })
		all.Go(func() {
			r.publisher.Answers(ctx, box.Source(), func(ctx context.Context, answer rabbit.Answer) {
				r.take(ctx, box, rolls, answer)
				select {
				case answered <- struct{}{}:
				default:
				}
			})
		})
	}
	all.Wait()
	return nil
}

// serve calls the listeners of one outbox, every now and then and after an answer, since more may be waiting.
func (r *RollCaller) serve(ctx context.Context, box *outbox.Outbox, rolls *outbox.RollCalls, answered <-chan struct{}) {
	troubles := map[string]string{}
	for ctx.Err() == nil {
		for _, listener := range r.listeners {
			err := r.call(ctx, box, rolls, listener)
			if ctx.Err() != nil {
				return
			}
			text := ""
			if err != nil {
				text = err.Error()
			}
			if text != "" && troubles[listener.Name] == "" {
				r.log.Warn("a listener can't be asked whether it lacks events", "source", box.Source(), "listener", listener.Name, "error", err)
			}
			troubles[listener.Name] = text
		}
		backoff.Wait(ctx, r.periods.Every, answered)
	}
}

// call asks one listener about what is due. A queue from which nothing consumes is not called: the calls would only pile up there.
func (r *RollCaller) call(ctx context.Context, box *outbox.Outbox, rolls *outbox.RollCalls, listener listen.Subscription) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollCallTimeout)
	defer cancel()
	for {
		call, due, err := rolls.Due(ctx, listener.Name)
		if err != nil || !due {
			return err
		}
		message := rabbit.RollCall{Source: box.Source(), Listener: listener.Name}
		for _, event := range call.Events {
			if listener.Wants(event.Type) {
				message.Events = append(message.Events, rabbit.Asked{ID: event.ID, Type: event.Type})
			}
		}
		if len(message.Events) == 0 {
			if skipped, err := rolls.Skip(ctx, &call); err != nil || !skipped {
				return err
			}
			continue
		}
		if attended, err := r.publisher.Attended(ctx, listener.Name); err != nil || !attended {
			return err
		}
		if claimed, err := rolls.Claim(ctx, &call); err != nil || !claimed {
			return err
		}
		message.Until = call.Until
		return r.send(ctx, rolls, &call, message)
	}
}

func (r *RollCaller) send(ctx context.Context, rolls *outbox.RollCalls, call *outbox.RollCall, message rabbit.RollCall) error {
	if !call.Unasked.IsZero() {
		r.log.Warn("a listener was away for so long that it can't be asked about all that was published meanwhile",
			"source", message.Source, "listener", message.Listener, "since", call.Unasked)
	}
	err := r.publisher.Call(ctx, message)
	outcome := "called"
	switch {
	case errors.Is(err, rabbit.ErrReturned):
		outcome = "returned"
	case err != nil:
		outcome = "failed"
	}
	r.calls.WithLabelValues(message.Source, message.Listener, outcome).Inc()
	if err != nil {
		return errors.Join(err, rolls.GiveBack(ctx, call))
	}
	return nil
}

// take sends a listener the events that it lacks, and notes down that it has all of the window. One answer is enough: several relays may
// get one each, to several calls about the same window.
func (r *RollCaller) take(ctx context.Context, box *outbox.Outbox, rolls *outbox.RollCalls, answer rabbit.Answer) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollCallTimeout)
	defer cancel()
	err := r.fill(ctx, rolls, answer)
	if err == nil {
		return
	}
	r.log.Warn("a listener can't be sent the events that it lacks yet", "source", box.Source(), "listener", answer.Listener,
		"count", len(answer.Unknown), "error", err)
	if err := rolls.CallAgain(ctx, answer.Listener, answer.Until); err != nil {
		r.log.Warn("the roll call waits for its time to be repeated", "source", box.Source(), "listener", answer.Listener, "error", err)
	}
}

func (r *RollCaller) fill(ctx context.Context, rolls *outbox.RollCalls, answer rabbit.Answer) error {
	waits, err := rolls.Waits(ctx, answer.Listener, answer.Until)
	if err != nil || !waits {
		return err
	}
	var messages []listen.Message
	if len(answer.Unknown) > 0 {
		lacking, err := rolls.Published(ctx, answer.Unknown)
		if err != nil {
			return err
		}
		for _, event := range lacking {
			messages = append(messages, listen.Message{ID: event.ID, Type: event.Type, Body: []byte(event.Body)})
		}
		if err := r.publisher.Fill(ctx, answer.Listener, messages); err != nil {
			return err
		}
	}
	confirmed, err := rolls.Confirm(ctx, answer.Listener, answer.Until)
	if err != nil || !confirmed {
		return err
	}
	r.calls.WithLabelValues(answer.Source, answer.Listener, "answered").Inc()
	if len(messages) > 0 {
		r.filled.WithLabelValues(answer.Source, answer.Listener).Add(float64(len(messages)))
		r.log.Warn("a listener lacked published events and was sent them", "source", answer.Source, "listener", answer.Listener,
			"count", len(messages), "first", messages[0].ID)
	}
	return nil
}
