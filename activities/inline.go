package activities

import (
	"context"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/inventory"
	"example.com/orderly/internal/payments"
)

type inline struct{}

// Inline has steps called with ctx done in the process that runs the workflow, as local activities with the options ctx carries.
func Inline(ctx workflow.Context) workflow.Context { return workflow.WithValue(ctx, inline{}, true) }

// Decided reports whether an inline attempt settles its step: with a yes, with a no, or because the workflow was called off. Anything
// else may have been done all the same; the step's key makes asking again safe.
func Decided(err error) bool {
	if err == nil || temporal.IsCanceledError(err) {
		return true
	}
	_, no := Refusal(err)
	return no
}

var errElsewhere = fault.New(fault.Unavailable, "service_elsewhere", "the service runs in another process")

// RegisterElsewhere stands in for the steps of a service that this process does not run. A saga may have been started inline by one
// that ran them all: what it asks for here is refused at once, and then done where the service is. The refusal is recorded in the
// history like any outcome, under a code that says why.
func RegisterElsewhere(r worker.ActivityRegistry, queue string) {
	switch queue {
	case InventoryQueue:
		register(r, reserveStock, func(context.Context, inventory.Reservation) error { return translate(errElsewhere) })
	case PaymentsQueue:
		register(r, authorizePayment, func(context.Context, payments.Authorization) error { return translate(errElsewhere) })
		register(r, capturePayment, func(context.Context, payments.Capture) error { return translate(errElsewhere) })
	}
}
