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

// maxRounds bounds how often an undo reads the intent again because the payment changed meanwhile.
const maxRounds = 4

// Undo asks to undo a step of a payment.
type Undo struct {
	// Key is the undo's own; Undoes is the key of the step.
	Key     string `json:"Key"`
	Undoes  string `json:"Undoes"`
	OrderID string `json:"OrderID"`
	// Reason is the code of the failure for which the order is given up. A late attempt of the step is told it, and the first one that an
	// undo of the order has named stays.
	Reason string `json:"reason,omitempty"`
}

// CodeCaptured is the code of the Conflict that meets a Void of a payment whose money was captured and is not given back.
const CodeCaptured = "payment_captured"

// Void undoes an authorisation: afterwards nothing is held, and no late attempt will hold anything. It succeeds when there was
// nothing to void. Idempotent by Undo.Key; Unavailable while the provider's state is not known.
//
// Void never gives money back. While the provider keeps any of what was captured, Void is Conflict payment_captured and is recorded
// nowhere; it succeeds once Refund, or a person at the provider, has given back all of it. What the two do to a payment:
//
//	payment                            Void                                    Refund
//	none, or begun without an intent   voided; no attempt authorises           no attempt authorises or captures
//	intent made, hold maybe in doubt   intent cancelled; voided                intent cancelled
//	declined                           intent cancelled; voided                intent cancelled
//	authorized                         hold cancelled; voided, announced       hold cancelled; Void still records and announces it
//	capture in doubt, did not happen   as authorized; a late capture fails     as authorized; a late capture fails
//	capture in doubt, happened         payment_captured; the capture can       given back; nothing is announced, since the capture
//	                                   still be recorded                       was not; then Void records voided
//	captured                           payment_captured                        given back; refunded, announced
//	captured, Refund under way         payment_captured until it is given back goes on
//	refunded                           nothing                                 nothing
//	refunded at the provider by hand   nothing                                 refunded, announced
//	voided                             nothing                                 nothing
//
// A capture that happens after Void has read the intent and before it commits given_up makes that Void payment_captured, too. given_up stays
// then: the capture is refused as undone, and its saga refunds.
func (s *Service) Void(ctx context.Context, u Undo) error {
	return s.undo(ctx, u, StateAuthorized, StateVoided)
}

// Refund undoes a capture: afterwards nothing of the order's money is kept, and no late attempt will take any. It succeeds
// when nothing was taken. Idempotent by Undo.Key; Unavailable while the provider's state is not known.
func (s *Service) Refund(ctx context.Context, u Undo) error {
	return s.undo(ctx, u, StateCaptured, StateRefunded)
}

func (s *Service) undo(ctx context.Context, u Undo, from, to State) error {
	if _, found, err := step.Recorded[State](ctx, s.box, u.Key); found || err != nil {
		return err
	}
	var p payment
	var intent Intent
	var err error
	mayRefund := to == StateRefunded
	if !mayRefund {
		err = s.refuseCaptured(ctx, u.OrderID)
	}
	if err == nil {
		p, err = s.giveUp(ctx, u)
	}
	if err == nil && p.IntentID != "" {
		intent, err = s.releaseFunds(ctx, u, p, mayRefund)
	}
	if err == nil {
		err = s.recordUndo(ctx, u, p, intent, from, to)
	}
	if err != nil {
		return fmt.Errorf("undo the payment of order %s: %w", u.OrderID, err)
	}
	return nil
}

// refuseCaptured refuses a Void of captured money before given_up is committed: a refused undo must not keep the order from going
// forward. It asks the provider, because our book knows neither of a capture in doubt nor of a refund by hand.
func (s *Service) refuseCaptured(ctx context.Context, orderID string) error {
	p, err := find(ctx, s.db.Get, orderID)
	if fault.KindOf(err) == fault.NotFound {
		return nil
	}
	if err != nil {
		return err
	}
	if p.GivenUp || (p.State != StateAuthorized && p.State != StateCaptured) {
		return nil
	}
	intent, err := s.gateway.Get(ctx, p.IntentID)
	if err != nil {
		return rejectUnknownIntent(err)
	}
	if keeps(intent) {
		return errCaptured(intent)
	}
	return nil
}

// keeps reports whether the provider keeps any money that it captured.
func keeps(i Intent) bool { return i.Status == Captured && i.RefundedMinor < i.CapturedMinor }

func errCaptured(i Intent) error {
	return fault.New(fault.Conflict, CodeCaptured, "intent %s was captured and %d of %d is not given back: a void must not refund",
		i.ID, i.CapturedMinor-i.RefundedMinor, i.CapturedMinor)
}

// giveUp commits the tombstone before the undo reads the intent. An attempt that has not committed its intent's id yet never confirms
// it; the intent of one that has is found by that id.
func (s *Service) giveUp(ctx context.Context, u Undo) (payment, error) {
	var p payment
	now := database.At(s.box.Now())
	err := s.db.Change(ctx, &p, `
		INSERT INTO payments (order_id, state, given_up, given_up_reason, created_at, updated_at) VALUES (?, 'started', TRUE, ?, ?, ?)
		ON CONFLICT (order_id) DO UPDATE SET given_up = TRUE,
		       given_up_reason = CASE WHEN payments.given_up_reason = '' THEN excluded.given_up_reason ELSE payments.given_up_reason END
		RETURNING order_id, state, given_up, given_up_reason, intent_id, amount_minor, currency, payment_method, attempts`,
		u.OrderID, u.Reason, now, now)
	return p, err
}

// releaseFunds cancels the hold or refunds the capture, and reads the intent again until neither is left. A cancelled intent also refuses
// late confirmations and captures. What was captured is refunded only if mayRefund; otherwise the undo is refused.
func (s *Service) releaseFunds(ctx context.Context, u Undo, p payment, mayRefund bool) (Intent, error) {
	var doubt error
	for range maxRounds {
		intent, err := s.gateway.Get(ctx, p.IntentID)
		if err != nil {
			return Intent{}, rejectUnknownIntent(err)
		}
		switch {
		case intent.Status == Canceled, intent.Status == Captured && !keeps(intent):
			return intent, nil
		case intent.Status == Captured && !mayRefund:
			return Intent{}, errCaptured(intent)
		case intent.Status == Captured:
			_, err = s.gateway.Refund(ctx, p.key(u.Key, "refund"), p.IntentID, intent.CapturedMinor-intent.RefundedMinor)
		default:
			_, err = s.gateway.Void(ctx, p.key(u.Key, "void"), p.IntentID)
		}
		doubt = err
		if f, ok := fault.As(err); ok && f.RetryAfter > 0 {
			return Intent{}, err // the provider asks for a pause before the next call
		}
		switch {
		case err == nil, fault.CodeOf(err) == CodeAlreadyCaptured:
		case keyExhausted(err):
			if err := s.rotateKey(ctx, p); err != nil {
				return Intent{}, err
			}
			p.KeyNumber++
			if intent.Status == Processing {
				return Intent{}, errProcessing(intent) // it can rarely be cancelled now, and always once it is decided
			}
		case errors.Is(err, ErrUnknownOutcome):
		case fault.Final(err):
			// The provider repeats a refusal to its key for a day, also once it would do what was asked. The intent is read before the next try.
			return Intent{}, errors.Join(err, s.rotateKey(ctx, p))
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
		Key: u.Key, Undoes: u.Undoes, Reason: p.GivenUpReason, Subject: u.OrderID, Forget: true,
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
			case to == StateVoided:
				return events.PaymentVoided{OrderID: u.OrderID, AmountMinor: p.AmountMinor, Currency: p.Currency}
			default:
				return events.PaymentRefunded{OrderID: u.OrderID, AmountMinor: p.AmountMinor, Currency: p.Currency}
			}
		},
	})
	return err
}
