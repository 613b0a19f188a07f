package workers

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"

	"example.com/orderly/internal/orders"
	"example.com/orderly/workflows"
)

const (
	patrolEvery = time.Minute
	// patrolAge keeps the patrol's hands off sagas that are just being started.
	patrolAge   = time.Minute
	patrolBatch = 100
)

// ReasonSagaClosed is why an order is parked whose saga was terminated or failed: nothing moves it any more.
const ReasonSagaClosed = "saga_closed"

// Patrol looks after open orders whose saga is gone, until ctx ends: one that Temporal does not know (its database was lost, or
// it is another server) is started anew, its steps answering from their records; one that was terminated or failed is parked.
func (s *Starter) Patrol(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := s.PatrolOnce(ctx); err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "open orders could not be looked after and will be", "error", err)
		}
		sleep(ctx, nil, patrolEvery+rand.N(patrolEvery/2))
	}
	return nil
}

// PatrolOnce looks at every open order once.
func (s *Starter) PatrolOnce(ctx context.Context) error {
	if s.temporal.Load() == nil {
		return nil
	}
	after := ""
	for {
		ids, err := s.orders.Open(ctx, patrolAge, after, patrolBatch)
		if err != nil || len(ids) == 0 {
			return err
		}
		for _, id := range ids {
			if err := s.lookAfter(ctx, id); err != nil {
				return err
			}
			after = id
		}
	}
}

func (s *Starter) lookAfter(ctx context.Context, orderID string) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	described, err := s.temporal.Load().client.DescribeWorkflowExecution(ctx, workflows.OrderWorkflowID(orderID), "")
	var unknown *serviceerror.NotFound
	switch {
	case errors.As(err, &unknown):
		s.log.WarnContext(ctx, "Temporal does not know this order's saga; it is started anew", "order_id", orderID)
		return s.orders.MarkUnstarted(ctx, orderID)
	case err != nil:
		return fmt.Errorf("look for the saga of order %s: %w", orderID, err)
	}
	switch status := described.GetWorkflowExecutionInfo().GetStatus(); status {
	case enums.WORKFLOW_EXECUTION_STATUS_RUNNING, enums.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW, enums.WORKFLOW_EXECUTION_STATUS_PAUSED:
		return nil
	default:
		s.log.WarnContext(ctx, "the saga of an open order has closed", "order_id", orderID, "status", status.String())
		return s.orders.Flag(ctx, orders.Flag{
			OrderID: orderID, At: s.now(), Attention: orders.Parked, Step: "Saga", Reason: ReasonSagaClosed,
		})
	}
}
