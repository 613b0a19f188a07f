package workers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"golang.org/x/sync/errgroup"

	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/orders"
	"example.com/orderly/workflows"
)

const (
	// startTimeout bounds one start. A start that is given up too early is a loss: Temporal may be about to answer with the first task
	// of the saga, which nobody else is given for ten seconds.
	startTimeout = 5 * time.Second
	// restFor is how long nobody tries to start a saga after Temporal did not answer: an outage must not slow down every order.
	restFor = time.Second

	sweepEvery = time.Second
	// sweepAge keeps the sweep's hands off orders whose saga is just being started by whoever placed them.
	sweepAge   = 3 * time.Second
	sweepBatch = 100
	// sweepAtOnce is how many of them are on their way at a time: after an outage all that came meanwhile wait.
	sweepAtOnce = 8
)

// Starter starts sagas. Temporal may be away, now or from the beginning: orders wait in their database meanwhile.
type Starter struct {
	orders    *orders.Service
	log       *slog.Logger
	now       func() time.Time
	temporal  atomic.Pointer[connection]
	inline    atomic.Bool
	restUntil atomic.Int64
	answered  atomic.Int64 // when Temporal last answered
	marks     marks
	ahead     ahead
	turns     *turns
}

// codeUnavailable is the code of what fails because Temporal is away.
const codeUnavailable = "temporal_unavailable"

type connection struct {
	client     client.Client
	searchable bool
}

// NewStarter returns a starter that has no Temporal yet.
func NewStarter(orders *orders.Service, log *slog.Logger, now func() time.Time) *Starter {
	return &Starter{
		orders: orders, log: log, now: now,
		marks: marks{started: make(chan string, markBatch)}, ahead: newAhead(), turns: newTurns(),
	}
}

// Connect gives the starter its Temporal client; searchable says that the namespace knows our search attributes.
func (s *Starter) Connect(c client.Client, searchable bool) {
	s.temporal.Store(&connection{client: c, searchable: searchable})
}

// Inline decides whether the sagas started from now on try their steps beside the saga first. It is for a process that runs every
// service.
func (s *Starter) Inline(on bool) { s.inline.Store(on) }

// Start starts the order's saga, or finds it started, and records that. Idempotent by the order's id. Unavailable when
// Temporal does not answer: the sweep tries again.
func (s *Starter) Start(ctx context.Context, order orders.Order) error {
	c := s.temporal.Load()
	away := fault.New(fault.Unavailable, codeUnavailable, "Temporal is not there; the saga of order %s starts later", order.ID)
	if c == nil || s.resting() {
		return away
	}
	in := workflows.InputFor(order, c.searchable, s.inline.Load())
	options := in.StartOptions()
	if err := s.turns.take(ctx); err != nil {
		return fmt.Errorf("start the saga of order %s: too many are just being started: %w", order.ID, err)
	}
	if s.resting() { // since others have had their turn
		s.turns.giveBack()
		return away
	}
	if in.Inline {
		s.turns.untilItEnds(options.ID)
	} else {
		defer s.turns.giveBack()
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	_, err := c.client.ExecuteWorkflow(ctx, options, workflows.OrderWorkflow, in)
	if err == nil {
		s.turns.started(options.ID)
	} else {
		s.turns.end(options.ID)
	}
	switch {
	case err == nil, temporal.IsWorkflowExecutionAlreadyStartedError(err):
		s.answered.Store(s.now().UnixNano())
	case unreachable(err):
		// One that answers others is there, and merely busy.
		if now := s.now(); now.Sub(time.Unix(0, s.answered.Load())) >= startTimeout {
			s.restUntil.Store(now.Add(restFor).UnixNano())
		}
		return fmt.Errorf("start the saga of order %s: %w: %w", order.ID,
			fault.New(fault.Unavailable, codeUnavailable, "Temporal does not answer"), err)
	default:
		return fmt.Errorf("start the saga of order %s: %w", order.ID, err)
	}
	return s.mark(ctx, order.ID)
}

// resting tells whether Temporal did not answer a moment ago.
func (s *Starter) resting() bool { return s.now().UnixNano() < s.restUntil.Load() }

// Await returns when the order's saga has ended, or with an error when ctx has or there is nothing to wait on.
func (s *Starter) Await(ctx context.Context, orderID string) error {
	c := s.temporal.Load()
	if c == nil {
		return fault.New(fault.Unavailable, codeUnavailable, "Temporal is not there")
	}
	s.ahead.over(ctx, orderID)
	return c.client.GetWorkflow(ctx, workflows.OrderWorkflowID(orderID), "").Get(ctx, nil)
}

// Sweep starts the sagas of orders that nobody saw start: whoever placed them crashed, or Temporal was away. It runs until ctx
// ends.
func (s *Starter) Sweep(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := s.SweepOnce(ctx); err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "sagas could not be started and are tried again", "error", err)
		}
		// Jitter, so that several processes do not sweep the same orders at the same moment.
		sleep(ctx, nil, sweepEvery+rand.N(sweepEvery/2))
	}
	return nil
}

// unreachable tells an outage of Temporal from a start that it refuses for a reason of its own.
func unreachable(err error) bool {
	var unavailable *serviceerror.Unavailable
	var exhausted *serviceerror.ResourceExhausted
	var deadline *serviceerror.DeadlineExceeded
	return errors.As(err, &unavailable) || errors.As(err, &exhausted) || errors.As(err, &deadline) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// SweepOnce starts what is left now.
func (s *Starter) SweepOnce(ctx context.Context) error {
	if s.temporal.Load() == nil {
		return nil
	}
	waiting, err := s.orders.Unstarted(ctx, sweepAge, sweepBatch)
	if err != nil {
		return err
	}
	starts, started := errgroup.WithContext(ctx)
	starts.SetLimit(sweepAtOnce)
	for _, order := range waiting {
		starts.Go(func() error {
			if s.ahead.is(order.ID) { // it waits for its turn
				return nil
			}
			if err := started.Err(); err != nil { // Temporal is away
				return err
			}
			err := s.Start(ctx, order)
			if fault.CodeOf(err) == codeUnavailable {
				return err
			}
			if err != nil {
				s.log.WarnContext(ctx, "saga could not be started", "order_id", order.ID, "error", err)
			}
			return nil
		})
	}
	return starts.Wait()
}
