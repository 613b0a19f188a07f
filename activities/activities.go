package activities

import (
	"context"

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

// call is one activity as workflows and workers both know it: its name in histories, its service's task queue, and its input.
type call[In any] struct{ name, queue string }

// query is a call that has a result besides yes and no. It is never inline.
type query[In, Out any] struct{ name, queue string }

// declaration is what is known of a call or query without its types.
type declaration struct {
	name, queue string
	in, out     any // their zero values; out is nil for a call
	standIn     func(r worker.ActivityRegistry, answer Answer)
}

// declared are all calls and queries: declare and declareQuery add to it while the package is initialized.
var declared []declaration

// declare makes a call known. name stays for ever, since histories hold it.
func declare[In any](queue, name string) call[In] {
	c := call[In]{name: name, queue: queue}
	declared = append(declared, declaration{name, queue, *new(In), nil, func(r worker.ActivityRegistry, answer Answer) {
		register(r, name, func(ctx context.Context, in In) error {
			_, err := answer(ctx, name, in)
			return err
		})
	}})
	return c
}

// declareQuery makes a query known.
func declareQuery[In, Out any](queue, name string) query[In, Out] {
	q := query[In, Out]{name: name, queue: queue}
	declared = append(declared, declaration{name, queue, *new(In), *new(Out), func(r worker.ActivityRegistry, answer Answer) {
		register(r, name, func(ctx context.Context, in In) (Out, error) {
			out, err := answer(ctx, name, in)
			typed, _ := out.(Out)
			return typed, err
		})
	}})
	return q
}

// register makes an activity known to a worker by its name in histories; a function's own name would change with the code.
func register(r worker.ActivityRegistry, name string, do any) {
	r.RegisterActivityWithOptions(do, activity.RegisterOptions{Name: name})
}

func (c call[In]) register(r worker.ActivityRegistry, do func(ctx context.Context, in In) error) {
	register(r, c.name, func(ctx context.Context, in In) error { return translate(do(ctx, in)) })
}

// run asks for the activity with the options that ctx carries and waits for its answer.
func (c call[In]) run(ctx workflow.Context, in In) error {
	if ctx.Value(inline{}) != nil {
		return workflow.ExecuteLocalActivity(ctx, c.name, in).Get(ctx, nil)
	}
	return workflow.ExecuteActivity(workflow.WithTaskQueue(ctx, c.queue), c.name, in).Get(ctx, nil)
}

func (q query[In, Out]) register(r worker.ActivityRegistry, do func(ctx context.Context, in In) (Out, error)) {
	register(r, q.name, func(ctx context.Context, in In) (Out, error) {
		out, err := do(ctx, in)
		return out, translate(err)
	})
}

func (q query[In, Out]) run(ctx workflow.Context, in In) (out Out, err error) {
	err = workflow.ExecuteActivity(workflow.WithTaskQueue(ctx, q.queue), q.name, in).Get(ctx, &out)
	return out, err
}
