// Package workflows holds the sagas: deterministic, without I/O, readable as the business process. What they ask for is done
// by activities; what they know lasts in Temporal's history.
package workflows

import (
	"errors"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"example.com/orderly/activities"
	"example.com/orderly/internal/inventory"
	"example.com/orderly/internal/money"
	"example.com/orderly/internal/orders"
	"example.com/orderly/internal/payments"
)

// OrderInput is what the saga of one order needs to know. Ids and amounts only: Temporal shows it to every operator.
type OrderInput struct {
	OrderID       string               `json:"order_id"`
	CustomerID    string               `json:"customer_id"`
	Lines         []inventory.Quantity `json:"lines"`
	TotalMinor    int64                `json:"total_minor"`
	Currency      string               `json:"currency"`
	PaymentMethod string               `json:"payment_method"`
	// Searchable says that the namespace knows our search attributes; using an unknown one would fail the workflow.
	Searchable bool `json:"searchable"`
	// Inline has each forward step first tried in the process that runs the saga. It is decided when the saga starts and holds for
	// all its runs.
	Inline bool `json:"inline,omitempty"`
}

func (in OrderInput) total() money.Money {
	return money.Money{Minor: in.TotalMinor, Currency: in.Currency}
}

// OrderResult is how the order ended. A rejected order is a result like any other; a failed workflow is a defect.
type OrderResult struct {
	State  orders.State `json:"state"`
	Reason string       `json:"reason,omitempty"`
}

// Order carries one order to exactly one end: paid for and handed over, or fully undone.
func Order(ctx workflow.Context, in OrderInput) (OrderResult, error) {
	s := newSaga(ctx, in)
	if err := s.forward(ctx); err != nil {
		return s.giveUp(ctx, err)
	}
	return s.finish(orders.Completed, "")
}

// forward takes the steps of the order. Each undo is registered before its step runs, because a step whose answer never came
// may have been done all the same.
func (s *saga) forward(ctx workflow.Context) error {
	s.undos = append(s.undos, s.releaseStock())
	if err := s.step(ctx, "Reserve stock", func(ctx workflow.Context) error {
		return activities.Reserve(ctx, inventory.Reservation{Key: s.key("reserve"), OrderID: s.in.OrderID, Lines: s.in.Lines})
	}); err != nil {
		return err
	}

	s.undos = append(s.undos, s.voidPayment())
	if err := s.step(ctx, "Authorise payment", func(ctx workflow.Context) error {
		return activities.Authorize(ctx, payments.Authorization{
			Key: s.key("authorize"), OrderID: s.in.OrderID,
			AmountMinor: s.in.TotalMinor, Currency: s.in.Currency, PaymentMethod: s.in.PaymentMethod,
		})
	}); err != nil {
		return err
	}

	// A review by people belongs here, before the pivot: nothing is charged yet and everything can be given back.

	// The pivot. Whether it was reached must be known for certain, so from here on a cancellation of the workflow is not heard.
	if err := ctx.Err(); err != nil {
		return err
	}
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	if err := s.step(ctx, "Confirm order", func(ctx workflow.Context) error {
		return activities.Confirm(ctx, orders.Move{Key: s.key("confirm"), OrderID: s.in.OrderID})
	}); err != nil {
		return err
	}
	s.confirmed = true
	s.story.confirmed()

	s.undos = append(s.undos, s.refundPayment())
	if err := s.step(ctx, "Capture payment", func(ctx workflow.Context) error {
		return activities.CapturePayment(ctx, payments.Capture{Key: s.key("capture"), OrderID: s.in.OrderID})
	}); err != nil {
		return err
	}

	// The shipment is a workflow of its own and starts here. Nothing after the capture can be refused by a service of ours.
	s.watch.settle(ctx)
	return s.last(ctx, "Complete order", func(ctx workflow.Context) error {
		return activities.Complete(ctx, orders.Move{Key: s.key("complete"), OrderID: s.in.OrderID})
	})
}

// giveUp undoes everything and ends the order in the state its cause calls for.
func (s *saga) giveUp(ctx workflow.Context, cause error) (OrderResult, error) {
	// What called us off has ended ctx; the undoing must not end with it.
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	state, reason := s.endFor(cause)
	if activities.Undone(cause) {
		// An earlier run of this saga (before a Reset, or lost) had begun to undo, and how far it came is not in this history.
		// Every undo succeeds when there is nothing to undo, so all of them run, unless the order itself says that it is paid for
		// and handed over: then somebody else has undone a step of it, and its money is not ours to give back.
		s.undos = []undo{s.releaseStock(), s.voidPayment(), s.refundPayment()}
		standing, err := s.standing(ctx)
		switch {
		case err != nil:
			return OrderResult{}, err
		case standing.State == orders.Completed:
			return s.finish(standing.State, standing.Reason)
		case standing.State.Ended():
			s.compensate(ctx)
			return s.finish(standing.State, standing.Reason)
		case standing.State == orders.Confirmed:
			state = orders.Reversed
		}
	}
	s.compensate(ctx)
	s.watch.settle(ctx)

	move := orders.Move{Key: s.key(string(state)), OrderID: s.in.OrderID, Reason: reason}
	end := map[orders.State]struct {
		title string
		do    func(workflow.Context, orders.Move) error
	}{
		orders.Rejected:  {"Reject order", activities.Reject},
		orders.Cancelled: {"Cancel order", activities.Cancel},
		orders.Reversed:  {"Reverse order", activities.Reverse},
	}[state]
	if err := s.insist(ctx, end.title, func(ctx workflow.Context) error { return end.do(ctx, move) }); err != nil {
		return OrderResult{}, err
	}
	return s.finish(state, reason)
}

// endFor is the table of ends: which one a cause leads to, and the reason that is recorded.
func (s *saga) endFor(cause error) (orders.State, string) {
	var called *temporal.CanceledError
	switch code, _ := activities.Refusal(cause); {
	case s.confirmed:
		return orders.Reversed, activities.Reason(cause)
	case errors.As(cause, &called):
		return orders.Cancelled, "cancelled_by_operator"
	case code == orders.CodeCancelRequested:
		return orders.Cancelled, code
	default:
		return orders.Rejected, activities.Reason(cause)
	}
}
