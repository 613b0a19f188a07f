package orders

import (
	"context"
	"fmt"
	"time"

	"example.com/orderly/events"
	"example.com/orderly/internal/database"
	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/step"
)

// CodeCancelRequested is the code of the no that meets a confirmation after somebody called the order off.
const CodeCancelRequested = "cancel_requested"

// Move asks for one change of an order's state.
type Move struct {
	// Key makes the change happen once: "<workflow id>:<step>".
	Key     string
	OrderID string
	// Reason is a stable code; only the three ends that undo have one.
	Reason string
}

// Confirm is the pivot: pending to confirmed, unless somebody called the order off, which is Declined cancel_requested.
// Idempotent by Move.Key.
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
		Key: m.Key, Subject: m.OrderID,
		Do: func(tx *database.Tx) (State, error) {
			// Locked first, so that a no is about the same row that the update left alone.
			before, err := find(ctx, locked(tx), m.OrderID)
			if err != nil {
				return "", err
			}
			attention := before
			if to.Ended() {
				attention = Order{} // nothing is left to look at; until then only Flag clears what Flag has set
			}
			rows, err := tx.Exec(ctx, `
				UPDATE orders
				SET state = ?, reason = ?, updated_at = ?, attention = ?, attention_step = ?, attention_reason = ?
				WHERE id = ? AND state = ? AND (? <> 'confirmed' OR cancel_requested_at IS NULL)`,
				to, m.Reason, database.At(s.box.Now()), attention.Attention, attention.AttentionStep, attention.AttentionReason,
				m.OrderID, from, to)
			if err != nil {
				return "", err
			}
			switch {
			case rows == 1:
				moved = before
				moved.State, moved.Reason = to, m.Reason
				if to.Ended() {
					tx.AfterCommit(s.ended.WithLabelValues(string(to), m.Reason).Inc)
				}
				return to, nil
			case before.State == from:
				return "", fault.New(fault.Declined, CodeCancelRequested, "order %s was called off", m.OrderID)
			default:
				return "", fault.New(fault.Conflict, "order_state", "order %s is %s and can't become %s", m.OrderID, before.State, to)
			}
		},
		Yes: func(State) events.Payload { return announcement(moved) },
	})
	if err != nil {
		return fmt.Errorf("make order %s %s: %w", m.OrderID, to, err)
	}
	return nil
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
	OrderID string
	// At is when it was decided. A flag that comes after a later one changes nothing: attempts can be late.
	At        time.Time
	Attention Attention
	Step      string
	Reason    string
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
