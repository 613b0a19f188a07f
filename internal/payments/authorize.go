package payments

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"

	"example.com/orderly/events"
	"example.com/orderly/internal/database"
	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/step"
)

// Authorization asks to hold an amount on the customer's means of payment.
type Authorization struct {
	// Key makes it happen once: "<workflow id>:<step>".
	Key           string `json:"Key"`
	OrderID       string `json:"OrderID"`
	AmountMinor   int64  `json:"AmountMinor"`
	Currency      string `json:"Currency"`
	PaymentMethod string `json:"PaymentMethod"`
}

// Authorize holds the amount, at most once, however many attempts there are. Declined with the provider's reason is a no that
// is recorded; Conflict step_undone after Void; Unavailable while the outcome is not known: ask again with the same Key.
func (s *Service) Authorize(ctx context.Context, a Authorization) error {
	if err := step.CheckKey(a.Key); err != nil {
		return err
	}
	p, err := s.insertPayment(ctx, a)
	if errors.Is(err, errExists) {
		if _, found, err := step.Recorded[State](ctx, s.box, a.Key); found || err != nil {
			return err
		}
		p, err = s.resumePayment(ctx, a.OrderID)
	}
	if err == nil && p.IntentID == "" {
		p, err = s.createIntent(ctx, a, p)
	}
	if err == nil {
		err = s.confirmIntent(ctx, a, p)
	}
	if err := s.recordAuthorization(ctx, a, err); err != nil {
		return fmt.Errorf("authorise order %s: %w", a.OrderID, err)
	}
	return nil
}

// errExists says that the order has a payment already.
var errExists = errors.New("the order has a payment already")

// insertPayment inserts the payment. On errExists an earlier attempt may have recorded an outcome.
func (s *Service) insertPayment(ctx context.Context, a Authorization) (p payment, err error) {
	now := database.At(s.box.Now())
	err = s.db.Change(ctx, &p, `
		INSERT INTO payments (order_id, state, amount_minor, currency, payment_method, created_at, updated_at)
		VALUES (?, 'started', ?, ?, ?, ?, ?) ON CONFLICT (order_id) DO NOTHING
		RETURNING order_id, state, given_up, intent_id, amount_minor, currency, payment_method, attempts`,
		a.OrderID, a.AmountMinor, a.Currency, a.PaymentMethod, now, now)
	if errors.Is(err, sql.ErrNoRows) {
		err = errExists
	}
	return p, err
}

// resumePayment returns the payment that an earlier attempt has inserted.
func (s *Service) resumePayment(ctx context.Context, orderID string) (payment, error) {
	p, err := find(ctx, s.db.Get, orderID)
	if err == nil && p.GivenUp {
		err = errUndone(orderID)
	}
	return p, err
}

// createIntent creates the intent that will hold the money and commits its id. If the process crashes or the answer is lost between the
// two, the intent holds nothing and never will, because only a committed id is confirmed.
func (s *Service) createIntent(ctx context.Context, a Authorization, p payment) (payment, error) {
	intent, err := s.gateway.Create(ctx, p.key(a.Key, "create"), NewIntent{
		OrderID: p.OrderID, AmountMinor: p.AmountMinor, Currency: p.Currency, Method: p.PaymentMethod,
	})
	if keyExhausted(err) {
		return p, errors.Join(err, s.rotateKey(ctx, p))
	}
	if err != nil {
		return p, err
	}
	var ours payment
	err = s.db.Change(ctx, &ours, `
		UPDATE payments SET intent_id = ?, updated_at = ? WHERE order_id = ? AND intent_id = '' AND NOT given_up
		RETURNING order_id, state, given_up, intent_id, amount_minor, currency, payment_method, attempts`,
		intent.ID, database.At(s.box.Now()), p.OrderID)
	if errors.Is(err, sql.ErrNoRows) {
		return s.resumePayment(ctx, p.OrderID) // another attempt may have committed its intent first
	}
	return ours, err
}

// confirmIntent confirms the intent, or finds it confirmed. nil means that the amount is held.
func (s *Service) confirmIntent(ctx context.Context, a Authorization, p payment) error {
	intent, err := s.gateway.Get(ctx, p.IntentID)
	if err == nil && intent.Status == NeedsConfirmation {
		intent, err = s.gateway.Confirm(ctx, p.key(a.Key, "confirm"), p.IntentID)
		if errors.Is(err, ErrUnknownOutcome) {
			intent, err = s.resolve(ctx, p, err)
		}
	}
	if err != nil {
		return rejectUnknownIntent(err)
	}
	switch intent.Status {
	case Authorized, Captured:
		return nil
	case NeedsMethod:
		if no := intent.Decline(); no != nil {
			return no
		}
		return fault.New(fault.Declined, "payment_method_required", "the provider asks for another payment method")
	case NeedsAction:
		// The customer is not present to authenticate, and an intent that is left open could come to hold money after our no.
		if _, err := s.gateway.Void(ctx, p.key(a.Key, "abandon"), p.IntentID); keyExhausted(err) {
			return errors.Join(err, s.rotateKey(ctx, p))
		} else if err != nil {
			return err
		}
		return fault.New(fault.Declined, "authentication_required", "the payment asks the customer to authenticate")
	case Canceled:
		return fault.New(fault.Declined, CodeIntentCanceled, "the payment was cancelled at the provider")
	default:
		return errProcessing(intent)
	}
}

// errProcessing says that the provider has not decided about the payment yet, which can take minutes and is no failure.
func errProcessing(i Intent) error {
	err := fault.New(fault.Unavailable, "payment_processing", "the provider has not decided about intent %s yet", i.ID)
	err.Waiting = true
	return err
}

// resolve reads the intent to find out whether a call took effect whose answer is not known.
func (s *Service) resolve(ctx context.Context, p payment, doubt error) (Intent, error) {
	intent, err := s.gateway.Get(ctx, p.IntentID)
	if err != nil {
		return Intent{}, errors.Join(doubt, err)
	}
	if intent.Status == NeedsConfirmation {
		if keyExhausted(doubt) {
			doubt = errors.Join(doubt, s.rotateKey(ctx, p))
		}
		return Intent{}, doubt
	}
	return intent, nil
}

// recordAuthorization commits the outcome. Any final refusal of the provider is recorded as Declined.
func (s *Service) recordAuthorization(ctx context.Context, a Authorization, outcome error) error {
	switch kind := fault.KindOf(outcome); {
	case outcome == nil:
	case !fault.Final(outcome):
		return outcome
	case kind != fault.Declined:
		outcome = fault.New(fault.Declined, fault.CodeOf(outcome), "%v", outcome)
	}
	_, err := step.Run(ctx, s.box, step.Step[State]{
		Key: a.Key, Subject: a.OrderID, Forget: true,
		Do: func(tx *database.Tx) (State, error) {
			if outcome == nil {
				rows, err := tx.Exec(ctx, `
					UPDATE payments SET state = 'authorized', updated_at = ? WHERE order_id = ? AND state = 'started' AND NOT given_up`,
					database.At(s.box.Now()), a.OrderID)
				if err != nil || rows == 1 {
					return StateAuthorized, err
				}
			}
			if err := refuseGivenUp(ctx, tx, a.OrderID); err != nil || outcome != nil {
				return "", cmp.Or(err, outcome)
			}
			return "", fault.New(fault.Conflict, "payment_state", "the payment of order %s is not to be authorised any more", a.OrderID)
		},
		Yes: func(State) events.Payload {
			return events.PaymentAuthorized{OrderID: a.OrderID, AmountMinor: a.AmountMinor, Currency: a.Currency}
		},
		No: func(no *fault.Error) events.Payload {
			return events.PaymentDeclined{OrderID: a.OrderID, AmountMinor: a.AmountMinor, Currency: a.Currency, Reason: no.Code}
		},
	})
	return err
}
