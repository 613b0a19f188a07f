// Package workflows holds the sagas: deterministic, without I/O, readable as the business process. Activities do the work; the state of
// a saga lasts in Temporal's history.
package workflows

import (
	"errors"
	"fmt"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"example.com/orderly/activities"
	"example.com/orderly/internal/orders"
)

// Order carries one order to exactly one end: paid for and handed over, or fully undone.
func Order(ctx workflow.Context, in OrderInput) (OrderResult, error) {
	s := newSaga(ctx, in)
	if err := s.forward(ctx); err != nil {
		return s.giveUp(ctx, err)
	}
	return s.finish(orders.Completed, "")
}

// forward takes the steps of the order, each an entry of steps.go, up to the pivot.
func (s *saga) forward(ctx workflow.Context) error {
	if err := s.take(ctx, reserve); err != nil {
		return err
	}
	if err := s.take(ctx, authorize); err != nil {
		return err
	}

	// A review by people belongs here, before the pivot: nothing is charged yet and everything can be given back.

	// The pivot. From here on a cancellation of the workflow is ignored, since a confirm that is cancelled may have been done all the same.
	if err := ctx.Err(); err != nil {
		return err
	}
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	if err := s.take(ctx, confirm); err != nil {
		return err
	}
	return s.fulfil(ctx)
}

// fulfil takes the steps after the pivot.
func (s *saga) fulfil(ctx workflow.Context) error {
	s.confirmed = true
	s.progress.confirmed()

	if err := s.take(ctx, capture); err != nil {
		return err
	}

	// The shipment is a workflow of its own and starts here. Nothing after the capture can be refused by a service of ours.
	s.stalls.flush(ctx)
	return s.completeStep(ctx, complete)
}

// giveUp undoes everything and ends the order in the state its cause calls for.
func (s *saga) giveUp(ctx workflow.Context, cause error) (OrderResult, error) {
	// A cancellation has ended ctx; the undoing must not end with it.
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	state, reason := s.endFor(ctx, cause)
	first, undone := activities.Undone(cause)
	if s.reason = reason; undone {
		s.reason = first
	}
	// Either means that the order may have come further than this history shows.
	if undone || s.mayBeFurther(ctx, cause) {
		standing, err := s.standing(ctx)
		switch {
		case err != nil:
			return OrderResult{}, err
		case standing.State == orders.Completed:
			// It is paid for and handed over, so nothing of it is undone, even if one of its steps was undone by other means.
			return s.finish(standing.State, standing.Reason)
		case standing.State == orders.Confirmed && !undone:
			return s.resume(ctx)
		case standing.State == orders.Confirmed:
			state = orders.Reversed
		}
		// This history does not show which steps an earlier run took or undid. Every undo succeeds when there is nothing to undo, so all
		// of them run.
		s.undos = s.in.steps()
		if standing.State.Ended() {
			s.reason = standing.Reason
			s.compensate(ctx)
			return s.finish(standing.State, standing.Reason)
		}
	}
	s.compensate(ctx)
	s.stalls.flush(ctx)
	return s.moveToEnd(ctx, state, reason)
}

// moveToEnd moves the order to an end that is not its completion.
func (s *saga) moveToEnd(ctx workflow.Context, state orders.State, reason string) (OrderResult, error) {
	var title string
	var move func(workflow.Context, orders.Move) error
	switch state {
	case orders.Rejected:
		title, move = "Reject order", activities.Reject
	case orders.Cancelled:
		title, move = "Cancel order", activities.Cancel
	case orders.Reversed:
		title, move = "Reverse order", activities.Reverse
	default:
		return OrderResult{}, fmt.Errorf("an order that is given up can't end %s", state)
	}
	if err := s.retryForever(ctx, title, func(ctx workflow.Context) error {
		return move(ctx, orders.Move{Key: s.key(string(state)), OrderID: s.in.OrderID, Reason: reason})
	}); err != nil {
		return OrderResult{}, err
	}
	return s.finish(state, reason)
}

// resume goes on after the pivot with an order that an earlier run of its saga confirmed. What stopped this run came before the pivot, and
// a confirmed order is never undone for a failure before the pivot.
func (s *saga) resume(ctx workflow.Context) (OrderResult, error) {
	s.undos = s.in.stepsUntil(confirm)
	if err := s.fulfil(ctx); err != nil {
		return s.giveUp(ctx, err)
	}
	return s.finish(orders.Completed, "")
}

// mayBeFurther reports whether this run has not reached the pivot and the order may have: by an earlier run of this saga (before a Reset, or
// lost with Temporal's database), or by inline steps whose results are not in the history. A workflow task that has taken such steps is thrown
// away when a cancellation comes meanwhile, and the next one begins with the cancellation. Then giveUp asks the orders service how the order
// stands before it undoes anything.
//
// A Reset keeps the part of the history before it. If that part has undos in it, they go on as they began: the version is the default
// one where a history has passed this place without it.
func (s *saga) mayBeFurther(ctx workflow.Context, cause error) bool {
	info := workflow.GetInfo(ctx)
	reset := info.OriginalRunID != "" && info.OriginalRunID != info.WorkflowExecution.RunID
	lost := s.in.Inline && temporal.IsCanceledError(cause)
	if s.confirmed || !s.in.Again && !reset && !lost {
		return false
	}
	return workflow.GetVersion(ctx, "ask-before-undo", workflow.DefaultVersion, 1) > workflow.DefaultVersion
}

// reasonCancelled is the reason of an order whose workflow was cancelled.
const reasonCancelled = "cancelled_by_operator"

// endFor is the table of ends: which one a cause leads to, and the reason that is recorded. A step that an earlier run has undone is no
// cause of its own: what that run gave up for decides.
func (s *saga) endFor(ctx workflow.Context, cause error) (orders.State, string) {
	var cancelled *temporal.CanceledError
	code, _ := activities.Refusal(cause)
	switch first, _ := activities.Undone(cause); {
	case first != "":
		return s.endForFirst(ctx, first), first
	case s.confirmed:
		return orders.Reversed, activities.Reason(cause)
	case errors.As(cause, &cancelled):
		return orders.Cancelled, reasonCancelled
	case code == orders.CodeCancelRequested:
		return orders.Cancelled, code
	default:
		return orders.Rejected, activities.Reason(cause)
	}
}

// endForFirst is the end that the reason of an earlier run leads to. Workers of an older version rejected each order that met such a step, and
// a history in which one of them has begun to reject goes on with that.
func (s *saga) endForFirst(ctx workflow.Context, reason string) orders.State {
	switch {
	case s.confirmed:
		return orders.Reversed
	case reason != reasonCancelled && reason != orders.CodeCancelRequested:
		return orders.Rejected
	case workflow.GetVersion(ctx, "first-cause-decides", workflow.DefaultVersion, 1) == workflow.DefaultVersion:
		return orders.Rejected
	default:
		return orders.Cancelled
	}
}
