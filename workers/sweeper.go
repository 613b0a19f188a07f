package workers

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"

	"golang.org/x/sync/errgroup"

	"example.com/orderly/internal/backoff"
	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/orders"
)

const (
	sweepEvery = time.Second
	// sweepAge leaves out younger orders, whose saga the process that placed them is just starting.
	sweepAge   = 3 * time.Second
	sweepBatch = 100
	// sweepAtOnce is how many starts a Sweeper waits for at a time: after an outage thousands of orders may wait for theirs.
	sweepAtOnce = 8
)

// Sweeper starts the sagas of orders that are not marked as started: the process that placed them crashed, or Temporal was away.
type Sweeper struct {
	Starter *Starter
	Orders  *orders.Service
	Log     *slog.Logger
}

// Run sweeps until ctx ends. It returns nil: what fails is logged and tried again.
func (s *Sweeper) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := s.Once(ctx); err != nil && ctx.Err() == nil {
			s.Log.WarnContext(ctx, "sagas could not be started and are tried again", "error", err)
		}
		// Jitter, so that several processes do not sweep the same orders at the same moment.
		backoff.Wait(ctx, sweepEvery+rand.N(sweepEvery/2), nil)
	}
	return nil
}

// Once starts the sagas of at most sweepBatch orders that wait for theirs; before the Starter's Connect it does nothing. Unavailable when
// Temporal does not answer; a start that Temporal refuses is logged.
func (s *Sweeper) Once(ctx context.Context) error {
	if s.Starter.client() == nil {
		return nil
	}
	waiting, err := s.Orders.Unstarted(ctx, sweepAge, sweepBatch)
	if err != nil {
		return err
	}
	starts, started := errgroup.WithContext(ctx)
	starts.SetLimit(sweepAtOnce)
	for _, order := range waiting {
		starts.Go(func() error {
			if s.Starter.find(order.ID) != nil { // this process is starting it already
				return nil
			}
			if err := started.Err(); err != nil { // Temporal is away
				return err
			}
			err := s.Starter.Start(ctx, order)
			if fault.CodeOf(err) == codeUnavailable {
				return err
			}
			if err != nil {
				s.Log.WarnContext(ctx, "saga could not be started", "order_id", order.ID, "error", err)
			}
			return nil
		})
	}
	return starts.Wait()
}
