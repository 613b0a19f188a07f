package workflows

import (
	"slices"

	"go.temporal.io/sdk/workflow"

	"example.com/orderly/activities"
	"example.com/orderly/internal/inventory"
	"example.com/orderly/internal/orders"
	"example.com/orderly/internal/payments"
)

// step is one entry of the process: what a saga asks of a service, and what undoes it.
type step struct {
	// key names the step in the services' step records and at the payment provider. It is never changed, or a step of an order in flight
	// would be done twice, and never used for another step, or that one would be answered from the record of the first.
	key   string
	title string // what people read
	do    func(ctx workflow.Context, s *saga, key string) error
	undo  *undo // nil for a step that can't be undone
	// added says that sagas were recorded before this step existed. It is taken only by a saga whose input names it.
	added bool
}

// undo takes a step back. It must succeed when there is nothing to take back, and keep a late attempt of the step from doing anything.
type undo struct {
	key   string
	title string
	do    func(ctx workflow.Context, s *saga, key, undoes string) error
}

// process are all steps in the order in which they are taken, which is the order of the declarations below. newStep adds each, so that
// none is missing where all are undone.
var process []*step

func newStep(st step) *step {
	process = append(process, &st)
	return &st
}

var reserve = newStep(step{
	key: "reserve", title: "Reserve stock",
	do: func(ctx workflow.Context, s *saga, key string) error {
		return activities.Reserve(ctx, inventory.Reservation{Key: key, OrderID: s.in.OrderID, Lines: s.in.Lines})
	},
	undo: &undo{"release", "Release stock", func(ctx workflow.Context, s *saga, key, undoes string) error {
		return activities.Release(ctx, inventory.Release{Key: key, Undoes: undoes, OrderID: s.in.OrderID, Reason: s.reason})
	}},
})

var authorize = newStep(step{
	key: "authorize", title: "Authorise payment",
	do: func(ctx workflow.Context, s *saga, key string) error {
		return activities.Authorize(ctx, payments.Authorization{
			Key: key, OrderID: s.in.OrderID, AmountMinor: s.in.TotalMinor, Currency: s.in.Currency, PaymentMethod: s.in.PaymentMethod,
		})
	},
	undo: &undo{"void", "Void payment", func(ctx workflow.Context, s *saga, key, undoes string) error {
		return activities.Void(ctx, payments.Undo{Key: key, Undoes: undoes, OrderID: s.in.OrderID, Reason: s.reason})
	}},
})

// confirm is the pivot. It is not undone but followed by the reversal of the whole order.
var confirm = newStep(step{
	key: "confirm", title: "Confirm order",
	do: func(ctx workflow.Context, s *saga, key string) error {
		return activities.Confirm(ctx, orders.Move{Key: key, OrderID: s.in.OrderID})
	},
})

var capture = newStep(step{
	key: "capture", title: "Capture payment",
	do: func(ctx workflow.Context, s *saga, key string) error {
		return activities.CapturePayment(ctx, payments.Capture{Key: key, OrderID: s.in.OrderID})
	},
	undo: &undo{"refund", "Refund payment", func(ctx workflow.Context, s *saga, key, undoes string) error {
		return activities.Refund(ctx, payments.Undo{Key: key, Undoes: undoes, OrderID: s.in.OrderID, Reason: s.reason})
	}},
})

// complete moves the order to its end after every other step. The orders service never refuses it.
var complete = newStep(step{
	key: "complete", title: "Complete order",
	do: func(ctx workflow.Context, s *saga, key string) error {
		return activities.Complete(ctx, orders.Move{Key: key, OrderID: s.in.OrderID})
	},
})

// addedSteps are the keys of the steps that were added after sagas had been recorded.
func addedSteps() []string {
	var keys []string
	for _, st := range process {
		if st.added {
			keys = append(keys, st.key)
		}
	}
	return keys
}

// takes reports whether the saga with this input has the step.
func (in OrderInput) takes(st *step) bool { return !st.added || slices.Contains(in.Steps, st.key) }

// steps are the steps that the saga with this input takes, in their order.
func (in OrderInput) steps() []*step {
	var all []*step
	for _, st := range process {
		if in.takes(st) {
			all = append(all, st)
		}
	}
	return all
}

// stepsUntil are the steps before last, and last.
func (in OrderInput) stepsUntil(last *step) []*step {
	all := in.steps()
	return all[:slices.Index(all, last)+1]
}
