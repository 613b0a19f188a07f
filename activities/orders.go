package activities

import (
	"context"

	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"example.com/orderly/internal/orders"
)

var (
	confirmOrder  = declare[orders.Move](OrdersQueue, "orders.confirm")
	completeOrder = declare[orders.Move](OrdersQueue, "orders.complete")
	rejectOrder   = declare[orders.Move](OrdersQueue, "orders.reject")
	cancelOrder   = declare[orders.Move](OrdersQueue, "orders.cancel")
	reverseOrder  = declare[orders.Move](OrdersQueue, "orders.reverse")
	flagOrder     = declare[orders.Flag](OrdersQueue, "orders.flag")
	lookUpOrder   = declareQuery[string, Standing](OrdersQueue, "orders.look_up")
)

// RegisterOrders makes the orders service's steps known to a worker.
func RegisterOrders(r worker.ActivityRegistry, s *orders.Service) {
	confirmOrder.register(r, s.Confirm)
	completeOrder.register(r, s.Complete)
	rejectOrder.register(r, s.Reject)
	cancelOrder.register(r, s.Cancel)
	reverseOrder.register(r, s.Reverse)
	flagOrder.register(r, s.Flag)
	lookUpOrder.register(r, func(ctx context.Context, orderID string) (Standing, error) {
		order, err := s.Get(ctx, orderID)
		return Standing{State: order.State, Reason: order.Reason}, err
	})
}

// Standing is an order's state, and the reason for it where the order has one.
type Standing struct {
	State  orders.State `json:"state"`
	Reason string       `json:"reason,omitempty"`
}

// LookUp returns the order's state.
func LookUp(ctx workflow.Context, orderID string) (Standing, error) {
	return lookUpOrder.run(ctx, orderID)
}

// Confirm is the pivot. Refusal: cancel_requested.
func Confirm(ctx workflow.Context, in orders.Move) error { return confirmOrder.run(ctx, in) }

// Complete ends an order that is paid for.
func Complete(ctx workflow.Context, in orders.Move) error { return completeOrder.run(ctx, in) }

// Reject ends an order the business said no to.
func Reject(ctx workflow.Context, in orders.Move) error { return rejectOrder.run(ctx, in) }

// Cancel ends an order that was cancelled.
func Cancel(ctx workflow.Context, in orders.Move) error { return cancelOrder.run(ctx, in) }

// Reverse ends a confirmed order that could not be finished.
func Reverse(ctx workflow.Context, in orders.Move) error { return reverseOrder.run(ctx, in) }

// Flag records on an open order that operators must look at it, or that they need not any more.
func Flag(ctx workflow.Context, in orders.Flag) error { return flagOrder.run(ctx, in) }
