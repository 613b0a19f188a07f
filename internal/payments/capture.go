package payments

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"example.com/orderly/events"
	"example.com/orderly/internal/database"
	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/step"
)

// CodeCaptureRefused is the code of the no that meets a capture the provider refuses for good.
const CodeCaptureRefused = "capture_refused"

// Capture asks to take what is held.
type Capture struct {
	// Key makes it happen once: "<workflow id>:<step>".
	Key     string `json:"Key"`
	OrderID string `json:"OrderID"`
}

// Capture takes the held amount, once, however many attempts there are. Declined capture_refused, which is recorded, when the
// provider refuses for good; Conflict step_undone after an undo began; Unavailable while the outcome is not known.
func (s *Service) Capture(ctx context.Context, c Capture) error {
	if _, found, err := step.Recorded[State](ctx, s.box, c.Key); found || err != nil {
		return err
	}
	p, err := find(ctx, s.db.Get, c.OrderID)
	if err != nil {
		return err
	}
	var outcome error
	switch { // not returned from here: another attempt may have been recorded since we looked, and then that is the answer
	case p.GivenUp:
		outcome = errUndone(c.OrderID)
	case p.State != StateAuthorized:
		outcome = fault.New(fault.Conflict, "payment_state", "the payment of order %s is %s and can't be captured", c.OrderID, p.State)
	default:
		outcome = s.captureIntent(ctx, c, p)
	}
	if err := s.recordCapture(ctx, c, p, outcome); err != nil {
		return fmt.Errorf("capture the payment of order %s: %w", c.OrderID, err)
	}
	return nil
}

func (s *Service) captureIntent(ctx context.Context, c Capture, p payment) error {
	_, err := s.gateway.Capture(ctx, p.key(c.Key, "capture"), p.IntentID)
	err = rejectUnknownIntent(err)
	if errors.Is(err, ErrUnknownOutcome) {
		intent, lookup := s.gateway.Get(ctx, p.IntentID)
		switch {
		case lookup != nil:
			return errors.Join(err, lookup)
		case intent.Status == Captured:
			return nil
		case keyExhausted(err):
			return errors.Join(err, s.rotateKey(ctx, p))
		}
		return err
	}
	if fault.Final(err) {
		return fault.New(fault.Declined, CodeCaptureRefused, "%v", err)
	}
	return err
}

func (s *Service) recordCapture(ctx context.Context, c Capture, p payment, outcome error) error {
	if outcome != nil && !fault.Final(outcome) {
		return outcome
	}
	_, err := step.Run(ctx, s.box, step.Step[State]{
		Key: c.Key, Subject: c.OrderID, Forget: true,
		Do: func(tx *database.Tx) (State, error) {
			if outcome == nil {
				rows, err := tx.Exec(ctx, `
					UPDATE payments SET state = 'captured', captured_minor = amount_minor, updated_at = ?
					WHERE order_id = ? AND state = 'authorized' AND NOT given_up`,
					database.At(s.box.Now()), c.OrderID)
				if err != nil || rows == 1 {
					return StateCaptured, err
				}
			}
			if err := refuseGivenUp(ctx, tx, c.OrderID); err != nil || outcome != nil {
				return "", cmp.Or(err, outcome)
			}
			return "", fault.New(fault.Conflict, "payment_state", "the payment of order %s is not to be captured any more", c.OrderID)
		},
		Yes: func(State) events.Payload {
			return events.PaymentCaptured{OrderID: c.OrderID, AmountMinor: p.AmountMinor, Currency: p.Currency}
		},
	})
	return err
}
