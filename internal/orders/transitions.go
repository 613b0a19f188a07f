package orders

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"example.com/orderly/events"
	"example.com/orderly/internal/database"
	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/step"
)

// CodeCancelRequested is the code of the no to the confirmation of an order that was called off.
const CodeCancelRequested = "cancel_requested"

// Move asks for one change of an order's state.
type Move struct {
	// Key makes the change happen once: "<workflow id>:<step>".
	Key     string `json:"Key"`
	OrderID string `json:"OrderID"`
	// Reason is a stable code; only the three ends that undo have one.
	Reason string `json:"Reason"`
}

// Confirm is the pivot: pending to confirmed. Declined cancel_requested for an order that was called off. Idempotent by Move.Key.
func (s *Service) Confirm(ctx context.Context, m Move) error {
	return s.move(ctx, m, Confirmed, Pending)
}

// Complete ends a confirmed order whose money is captured. Idempotent by Move.Key.
func (s *Service) Complete(ctx context.Context, m Move) error {
	return s.move(ctx, m, Completed, Ends[Completed])
}

// Reject ends a pending order with the business's no. Everything must be undone before. Idempotent by Move.Key.
func (s *Service) Reject(ctx context.Context, m Move) error {
	return s.move(ctx, m, Rejected, Ends[Rejected])
}

// Cancel ends a pending order that was called off. Everything must be undone before. Idempotent by Move.Key.
func (s *Service) Cancel(ctx context.Context, m Move) error {
	return s.move(ctx, m, Cancelled, Ends[Cancelled])
}

// Reverse ends a confirmed order that could not be finished. Everything must be undone before. Idempotent by Move.Key.
func (s *Service) Reverse(ctx context.Context, m Move) error {
	return s.move(ctx, m, Reversed, Ends[Reversed])
}

// move changes the state by compare-and-set. Any of these besides the recorded outcome: NotFound order_not_found, Conflict
// order_state when the order is not in the state the change starts from.
func (s *Service) move(ctx context.Context, m Move, to, from State) error {
	var moved Order
	_, err := step.Run(ctx, s.box, step.Step[State]{
		Key: m.Key, Subject: m.OrderID, Forget: true,
		Do: func(tx *database.Tx) (_ State, err error) {
			moved, err = s.change(ctx, tx, m, to, from)
			if errors.Is(err, sql.ErrNoRows) {
				moved, err = s.changeOrRefuse(ctx, tx, m, to, from)
			}
			if err == nil && to.Ended() {
				tx.AfterCommit(s.ended.WithLabelValues(string(to), m.Reason).Inc)
			}
			return to, err
		},
		Yes: func(State) events.Payload { return announcement(moved) },
	})
	if err != nil {
		return fmt.Errorf("make order %s %s: %w", m.OrderID, to, err)
	}
	return nil
}

// change makes the move if the order is where it starts from; sql.ErrNoRows if it is not.
func (s *Service) change(ctx context.Context, tx *database.Tx, m Move, to, from State) (Order, error) {
	var row orderRow
	// At an end nothing is left to look at; until then only Flag clears what Flag has set.
	err := tx.Get(ctx, &row, `
		UPDATE orders
		SET state = ?, reason = ?, updated_at = ?,
		    attention = CASE WHEN ? THEN '' ELSE attention END,
		    attention_step = CASE WHEN ? THEN '' ELSE attention_step END,
		    attention_reason = CASE WHEN ? THEN '' ELSE attention_reason END
		WHERE id = ? AND state = ? AND (? <> 'confirmed' OR cancel_requested_at IS NULL)
		RETURNING id, customer_id, state, reason, total_minor, currency`,
		to, m.Reason, database.At(s.box.Now()), to.Ended(), to.Ended(), to.Ended(), m.OrderID, from, to)
	return row.order(), err
}

// changeOrRefuse is for an order that change has found elsewhere. It is locked first, so that a no is about the same row that is
// left alone.
func (s *Service) changeOrRefuse(ctx context.Context, tx *database.Tx, m Move, to, from State) (Order, error) {
	before, err := find(ctx, locked(tx), m.OrderID)
	if err != nil {
		return Order{}, err
	}
	moved, err := s.change(ctx, tx, m, to, from)
	switch {
	case !errors.Is(err, sql.ErrNoRows):
		return moved, err
	case before.State == from:
		return Order{}, fault.New(fault.Declined, CodeCancelRequested, "order %s was called off", m.OrderID)
	default:
		return Order{}, fault.New(fault.Conflict, "order_state", "order %s is %s and can't become %s", m.OrderID, before.State, to)
	}
}

func announcement(o Order) events.Payload {
	switch o.State {
	case Confirmed:
		return events.OrderConfirmed{OrderID: o.ID, CustomerID: o.CustomerID, TotalMinor: o.Total.Minor, Currency: o.Total.Currency}
	case Completed:
		return events.OrderCompleted{OrderID: o.ID, CustomerID: o.CustomerID, TotalMinor: o.Total.Minor, Currency: o.Total.Currency}
	case Rejected:
		return events.OrderRejected{OrderID: o.ID, CustomerID: o.CustomerID, Reason: o.Reason}
	case Cancelled:
		return events.OrderCancelled{OrderID: o.ID, CustomerID: o.CustomerID, Reason: o.Reason}
	case Reversed:
		return events.OrderReversed{OrderID: o.ID, CustomerID: o.CustomerID, Reason: o.Reason}
	default:
		return nil
	}
}

// Flag is what the saga wants operators to know of an open order.
type Flag struct {
	OrderID string `json:"OrderID"`
	// At is when it was decided. A flag that comes after a later one changes nothing: attempts can be late.
	At        time.Time `json:"At"`
	Attention Attention `json:"Attention"`
	Step      string    `json:"Step"`
	Reason    string    `json:"Reason"`
}

// Flag sets or clears what an operator should look at, and announces parking and resuming. Setting what is already set, being
// overtaken by a later flag, and flagging an order that has ended change nothing.
func (s *Service) Flag(ctx context.Context, f Flag) error {
	err := s.db.InTx(ctx, func(tx *database.Tx) error {
		order, err := find(ctx, locked(tx), f.OrderID)
		told := f.Attention == order.Attention && f.Step == order.AttentionStep && f.Reason == order.AttentionReason
		if err != nil || told || order.State.Ended() || f.At.Before(order.AttentionAt) {
			return err
		}
		if _, err := tx.Exec(ctx, `
			UPDATE orders SET attention = ?, attention_step = ?, attention_reason = ?, attention_at = ?, updated_at = ? WHERE id = ?`,
			f.Attention, f.Step, f.Reason, database.At(f.At), database.At(s.box.Now()), f.OrderID); err != nil {
			return err
		}
		switch {
		case f.Attention == Parked:
			return s.box.Append(ctx, tx, f.OrderID, events.OrderParked{OrderID: f.OrderID, Step: f.Step, Reason: f.Reason})
		case order.Attention == Parked:
			return s.box.Append(ctx, tx, f.OrderID, events.OrderResumed{OrderID: f.OrderID, Step: order.AttentionStep})
		default:
			return nil
		}
	})
	if err != nil {
		return fmt.Errorf("flag order %s: %w", f.OrderID, err)
	}
	return nil
}
