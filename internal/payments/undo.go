package payments

import (
	"context"
	"errors"
	"fmt"

	"example.com/orderly/events"
	"example.com/orderly/internal/database"
	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/step"
)

// maxRounds bounds how often an undo looks again because the payment moved under its hands.
const maxRounds = 4

// Undo asks to undo a step of a payment.
type Undo struct {
	// Key is the undo's own; Undoes is the key of the step.
	Key     string `json:"Key"`
	Undoes  string `json:"Undoes"`
	OrderID string `json:"OrderID"`
}

// Void undoes an authorisation: afterwards nothing is held, and no late attempt will hold anything. It succeeds when there was
// nothing to void. Idempotent by Undo.Key; Unavailable while the provider's state is not known.
func (s *Service) Void(ctx context.Context, u Undo) error {
	return s.undo(ctx, u, StateAuthorized, Voided)
}

// Refund undoes a capture: afterwards nothing of the order's money is kept, and no late attempt will take any. It succeeds
// when nothing was taken. Idempotent by Undo.Key; Unavailable while the provider's state is not known.
func (s *Service) Refund(ctx context.Context, u Undo) error {
	return s.undo(ctx, u, StateCaptured, Refunded)
}

func (s *Service) undo(ctx context.Context, u Undo, from, to State) error {
	if _, found, err := step.Recorded[State](ctx, s.box, u.Key); found || err != nil {
		return err
	}
	p, err := s.giveUp(ctx, u.OrderID)
	var intent Intent
	if err == nil && p.IntentID != "" {
		intent, err = s.letGo(ctx, u, p)
	}
	if err == nil {
		err = s.recordUndo(ctx, u, p, intent, from, to)
	}
	if err != nil {
		return fmt.Errorf("undo the payment of order %s: %w", u.OrderID, err)
	}
	return nil
}

// giveUp leaves the tombstone, before the provider is looked at: an attempt that has not committed its intent yet never
// confirms it, and one that has is found by its id.
func (s *Service) giveUp(ctx context.Context, orderID string) (payment, error) {
	var p payment
	now := database.At(s.box.Now())
	err := s.db.Change(ctx, &p, `
		INSERT INTO payments (order_id, state, given_up, created_at, updated_at) VALUES (?, 'started', TRUE, ?, ?)
		ON CONFLICT (order_id) DO UPDATE SET given_up = TRUE
		RETURNING order_id, state, given_up, intent_id, amount_minor, currency, payment_method, attempts`, orderID, now, now)
	return p, err
}

// letGo brings the intent to where it holds nothing and keeps nothing, whatever it had come to: a hold is cancelled, which also
// refuses every late confirmation and capture; what was captured meanwhile is refunded.
func (s *Service) letGo(ctx context.Context, u Undo, p payment) (Intent, error) {
	var doubt error
	for range maxRounds {
		intent, err := s.gateway.Get(ctx, p.IntentID)
		if err != nil {
			return Intent{}, notOurs(err)
		}
		switch {
		case intent.Status == Canceled, intent.Status == Captured && intent.RefundedMinor >= intent.CapturedMinor:
			return intent, nil
		case intent.Status == Captured:
			_, err = s.gateway.Refund(ctx, p.key(u.Key, "refund"), p.IntentID, intent.CapturedMinor-intent.RefundedMinor)
		default:
			_, err = s.gateway.Void(ctx, p.key(u.Key, "void"), p.IntentID)
		}
		doubt = err
		if f, ok := fault.As(err); ok && f.RetryAfter > 0 {
			return Intent{}, err // the provider asks for a pause, and gets it
		}
		switch {
		case err == nil, fault.CodeOf(err) == CodeAlreadyCaptured:
		case spent(err):
			if err := s.leaveKeyBehind(ctx, p); err != nil {
				return Intent{}, err
			}
			p.Attempts++
		case errors.Is(err, ErrUnknownOutcome):
		default:
			return Intent{}, err
		}
	}
	if errors.Is(doubt, ErrUnknownOutcome) {
		return Intent{}, fmt.Errorf("intent %s is not settled yet: %w", p.IntentID, doubt)
	}
	return Intent{}, fault.New(fault.Unavailable, "payment_unsettled", "intent %s is not settled yet", p.IntentID)
}

func (s *Service) recordUndo(ctx context.Context, u Undo, p payment, intent Intent, from, to State) error {
	_, err := step.Run(ctx, s.box, step.Step[State]{
		Key: u.Key, Undoes: u.Undoes, Subject: u.OrderID, Forget: true,
		Do: func(tx *database.Tx) (State, error) {
			rows, err := tx.Exec(ctx, `
				UPDATE payments SET captured_minor = ?, refunded_minor = ?, updated_at = ?,
				       state = CASE WHEN state = ? OR (state = 'started' AND ? = 'voided') THEN ? ELSE state END
				WHERE order_id = ?`,
				intent.CapturedMinor, intent.RefundedMinor, database.At(s.box.Now()), from, to, to, u.OrderID)
			if err == nil && rows == 0 {
				err = fault.New(fault.NotFound, "payment_not_found", "there is no payment of order %s", u.OrderID)
			}
			return p.State, err
		},
		Yes: func(was State) events.Payload {
			switch {
			case was != from:
				return nil // nothing was announced that would have to be taken back
			case to == Voided:
				return events.PaymentVoided{OrderID: u.OrderID, AmountMinor: p.AmountMinor, Currency: p.Currency}
			default:
				return events.PaymentRefunded{OrderID: u.OrderID, AmountMinor: p.AmountMinor, Currency: p.Currency}
			}
		},
	})
	return err
}
