package activities

import (
	"context"

	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"example.com/orderly/internal/orders"
)

const (
	confirmOrder  = "orders.confirm"
	completeOrder = "orders.complete"
	rejectOrder   = "orders.reject"
	cancelOrder   = "orders.cancel"
	reverseOrder  = "orders.reverse"
	flagOrder     = "orders.flag"
	lookUpOrder   = "orders.look_up"
)

// Orders runs the orders service's steps.
type Orders struct{ Service *orders.Service }

// Register makes the activities known to a worker.
func (a Orders) Register(r worker.ActivityRegistry) {
	register(r, confirmOrder, a.confirm)
	register(r, completeOrder, a.complete)
	register(r, rejectOrder, a.reject)
	register(r, cancelOrder, a.cancel)
	register(r, reverseOrder, a.reverse)
	register(r, flagOrder, a.flag)
	register(r, lookUpOrder, a.lookUp)
}

func (a Orders) confirm(ctx context.Context, in orders.Move) error {
	return translate(a.Service.Confirm(ctx, in))
}

func (a Orders) complete(ctx context.Context, in orders.Move) error {
	return translate(a.Service.Complete(ctx, in))
}

func (a Orders) reject(ctx context.Context, in orders.Move) error {
	return translate(a.Service.Reject(ctx, in))
}

func (a Orders) cancel(ctx context.Context, in orders.Move) error {
	return translate(a.Service.Cancel(ctx, in))
}

func (a Orders) reverse(ctx context.Context, in orders.Move) error {
	return translate(a.Service.Reverse(ctx, in))
}

func (a Orders) flag(ctx context.Context, in orders.Flag) error {
	return translate(a.Service.Flag(ctx, in))
}

func (a Orders) lookUp(ctx context.Context, id string) (Standing, error) {
	order, err := a.Service.Get(ctx, id)
	return Standing{State: order.State, Reason: order.Reason}, translate(err)
}

// Standing is where an order stands.
type Standing struct {
	State  orders.State `json:"state"`
	Reason string       `json:"reason,omitempty"`
}

// LookUp returns where the order stands.
func LookUp(ctx workflow.Context, orderID string) (Standing, error) {
	var standing Standing
	err := workflow.ExecuteActivity(workflow.WithTaskQueue(ctx, OrdersQueue), lookUpOrder, orderID).Get(ctx, &standing)
	return standing, err
}

// Confirm is the pivot. Refusal: cancel_requested.
func Confirm(ctx workflow.Context, in orders.Move) error {
	return call(ctx, confirmOrder, OrdersQueue, in)
}

// Complete ends an order that is paid for.
func Complete(ctx workflow.Context, in orders.Move) error {
	return call(ctx, completeOrder, OrdersQueue, in)
}

// Reject ends an order the business said no to.
func Reject(ctx workflow.Context, in orders.Move) error {
	return call(ctx, rejectOrder, OrdersQueue, in)
}

// Cancel ends an order that was called off.
func Cancel(ctx workflow.Context, in orders.Move) error {
	return call(ctx, cancelOrder, OrdersQueue, in)
}

// Reverse ends a confirmed order that could not be finished.
func Reverse(ctx workflow.Context, in orders.Move) error {
	return call(ctx, reverseOrder, OrdersQueue, in)
}

// Flag tells operators about an open order, or that there is nothing to tell any more.
func Flag(ctx workflow.Context, in orders.Flag) error {
	return call(ctx, flagOrder, OrdersQueue, in)
}
