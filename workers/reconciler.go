package workers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"

	"example.com/orderly/internal/backoff"
	"example.com/orderly/internal/orders"
	"example.com/orderly/workflows"
)

const (
	reconcileEvery = time.Minute
	// reconcileAge leaves out orders whose saga is just being started.
	reconcileAge   = time.Minute
	reconcileBatch = 100
)

// ReasonSagaClosed is why an order is parked whose saga was terminated or failed: nothing moves it any more.
const ReasonSagaClosed = "saga_closed"

// Reconciler compares open orders with their sagas. A saga that Temporal does not know (its database was lost, or it is another
// server) is left to the Sweeper, which starts it anew: steps that were done answer from their records. An order whose saga was terminated
// or failed is parked.
type Reconciler struct {
	Starter *Starter
	Orders  *orders.Service
	Log     *slog.Logger
}

// Run reconciles once a minute until ctx ends. It returns nil: what fails is logged and tried again.
func (r *Reconciler) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := r.Once(ctx); err != nil && ctx.Err() == nil {
			r.Log.WarnContext(ctx, "open orders could not be compared with their sagas and will be again", "error", err)
		}
		backoff.Wait(ctx, reconcileEvery+rand.N(reconcileEvery/2), nil)
	}
	return nil
}

// Once compares every open order that is older than reconcileAge with its saga, and stops at the first error. Before the Starter's Connect
// it does nothing.
func (r *Reconciler) Once(ctx context.Context) error {
	if r.Starter.client() == nil {
		return nil
	}
	after := ""
	for {
		ids, err := r.Orders.Open(ctx, reconcileAge, after, reconcileBatch)
		if err != nil || len(ids) == 0 {
			return err
		}
		for _, id := range ids {
			if err := r.reconcile(ctx, id); err != nil {
				return err
			}
			after = id
		}
	}
}

func (r *Reconciler) reconcile(ctx context.Context, orderID string) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	described, err := r.Starter.client().DescribeWorkflowExecution(ctx, workflows.OrderWorkflowID(orderID), "")
	var unknown *serviceerror.NotFound
	switch {
	case errors.As(err, &unknown):
		if ended, err := r.ended(ctx, orderID); ended || err != nil {
			return err
		}
		r.Log.WarnContext(ctx, "Temporal does not know this order's saga; it is started anew", "order_id", orderID)
		return r.Orders.MarkUnstarted(ctx, orderID)
	case err != nil:
		return fmt.Errorf("look for the saga of order %s: %w", orderID, err)
	}
	saga := described.GetWorkflowExecutionInfo()
	switch status := saga.GetStatus(); status {
	case enums.WORKFLOW_EXECUTION_STATUS_RUNNING, enums.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW, enums.WORKFLOW_EXECUTION_STATUS_PAUSED:
		return nil
	default:
		if ended, err := r.ended(ctx, orderID); ended || err != nil {
			return err
		}
		r.Log.WarnContext(ctx, "the saga of an open order has closed", "order_id", orderID, "status", status.String())
		// The time is Temporal's, as in the flags of sagas: by another clock this flag could outweigh those of a run that is started anew.
		return r.Orders.Flag(ctx, orders.Flag{
			OrderID: orderID, At: saga.GetCloseTime().AsTime(), Attention: orders.Parked, Step: "Saga", Reason: ReasonSagaClosed,
		})
	}
}

// ended reports whether the order has reached its end since it was listed as open: a saga closes right after it.
func (r *Reconciler) ended(ctx context.Context, orderID string) (bool, error) {
	order, err := r.Orders.Get(ctx, orderID)
	return order.State.Ended(), err
}
