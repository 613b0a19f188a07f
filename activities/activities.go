package activities

import (
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

// The task queue of each service: its activities run where the service runs. Workflows run on the queue of orders, and those whose
// steps are tried inline on a queue of their own.
const (
	OrdersQueue    = "orderly-orders"
	InventoryQueue = "orderly-inventory"
	PaymentsQueue  = "orderly-payments"
	InlineQueue    = "orderly-inline"
)

// register gives the activity the name that histories know it by; a function's own name would change with the code.
func register(r worker.ActivityRegistry, name string, do any) {
	r.RegisterActivityWithOptions(do, activity.RegisterOptions{Name: name})
}

// call runs the activity with the options that ctx carries and waits for it.
func call(ctx workflow.Context, name, queue string, input any) error {
	if ctx.Value(inline{}) != nil {
		return workflow.ExecuteLocalActivity(ctx, name, input).Get(ctx, nil)
	}
	return workflow.ExecuteActivity(workflow.WithTaskQueue(ctx, queue), name, input).Get(ctx, nil)
}
