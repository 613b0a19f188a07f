package stripe

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/stripe/stripe-go/v85"

	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/payments"
)

// confirmed, captured, voided and refunded are the goals of the calls: each returns nil if the intent's state is what its call wanted, a
// refusal if it can't become that, and errUndecided if another call may get there.

func confirmed(i payments.Intent) error {
	switch i.Status {
	case payments.Authorized, payments.Captured, payments.Processing, payments.NeedsAction:
		return nil
	case payments.Canceled:
		return fault.New(fault.Conflict, payments.CodeIntentCanceled, "intent %s was canceled", i.ID)
	case payments.NeedsMethod:
		if err := i.Decline(); err != nil {
			return err
		}
		return fault.New(fault.Conflict, payments.CodeUnknownMethod, "intent %s has no payment method", i.ID)
	default:
		return errUndecided
	}
}

func captured(i payments.Intent) error {
	switch i.Status {
	case payments.Captured:
		return nil
	case payments.Canceled:
		return fault.New(fault.Conflict, payments.CodeIntentCanceled, "intent %s was canceled", i.ID)
	case payments.NeedsMethod, payments.NeedsConfirmation, payments.NeedsAction:
		return fault.New(fault.Conflict, payments.CodeNotAuthorized, "intent %s is not authorised", i.ID)
	default:
		return errUndecided
	}
}

func voided(i payments.Intent) error {
	switch i.Status {
	case payments.Canceled:
		return nil
	case payments.Captured:
		return fault.New(fault.Conflict, payments.CodeAlreadyCaptured, "intent %s was captured", i.ID)
	default:
		return errUndecided
	}
}

// refunded takes any refund for its own: the answer says that the refund was made, now or before, and the caller reads the intent again for
// what is left to refund.
func refunded(i payments.Intent) error {
	switch {
	case i.CapturedMinor == 0:
		return fault.New(fault.Conflict, payments.CodeNothingCaptured, "nothing was captured of intent %s", i.ID)
	case i.RefundedMinor == 0:
		return errUndecided
	default:
		return nil
	}
}

// temporary are refusals that may pass: nothing happened, and the same call may succeed later.
var temporary = map[stripe.ErrorCode]bool{
	stripe.ErrorCodeLockTimeout:         true,
	stripe.ErrorCodeRateLimit:           true,
	stripe.ErrorCodeBalanceInsufficient: true,
	stripe.ErrorCodeIdempotencyKeyInUse: true,
}

// classify sorts an error of stripe-go into the four of Gateway. An answer that is not known to be a no is an unknown outcome.
func classify(call, intentID string, err error) error {
	if err == nil {
		return nil
	}
	unknown := &payments.UnknownOutcome{Call: call, IntentID: intentID, Err: err}
	e := new(stripe.Error)
	if !errors.As(err, &e) {
		return unknown // no answer, half an answer, or an answer that is not Stripe's
	}
	unknown.Err = brief(e)
	if e.LastResponse != nil {
		h := e.LastResponse.Header
		unknown.RetryAfter = retryAfter(h.Get("Retry-After"))
		unknown.KeyExhausted = h.Get("Stripe-Should-Retry") == "false" || replayed(e.LastResponse)
	}
	switch status := e.HTTPStatusCode; {
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return fault.New(fault.Internal, payments.CodeMisconfigured, "%s: the payment provider refused our key: %v", call, brief(e))
	case e.Type == stripe.ErrorTypeIdempotency && status == http.StatusBadRequest:
		// The key has been used for something else. What that did is not known here.
		unknown.KeyExhausted = true
		return unknown
	case status == http.StatusConflict, status == http.StatusTooManyRequests, status >= http.StatusInternalServerError, temporary[e.Code]:
		return unknown
	case e.Type == stripe.ErrorTypeCard && (call == "confirm" || call == "create"):
		return payments.Declined(reason(e))
	case status == http.StatusNotFound, e.Code == stripe.ErrorCodeResourceMissing:
		return fault.New(fault.NotFound, "unknown_intent", "%s: the payment provider does not know intent %q", call, intentID)
	case status == http.StatusBadRequest && call == "create":
		return fault.New(fault.Invalid, reason(e), "%s: %v", call, brief(e))
	case status == http.StatusBadRequest, status == http.StatusPaymentRequired:
		return fault.New(fault.Conflict, reason(e), "%s of intent %s was refused: %v", call, intentID, brief(e))
	default:
		return unknown
	}
}

func codeOf(err error) stripe.ErrorCode {
	if e := new(stripe.Error); errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// reason is the most specific code Stripe gives.
func reason(e *stripe.Error) string {
	switch {
	case e.DeclineCode != "":
		return string(e.DeclineCode)
	case e.Code != "":
		return string(e.Code)
	default:
		return string(e.Type)
	}
}

// brief leaves out the intent Stripe embeds in its errors, with its client secret.
func brief(e *stripe.Error) error {
	return errors.New("stripe: " + strings.Join([]string{
		strconv.Itoa(e.HTTPStatusCode), string(e.Type), reason(e), e.Msg, e.RequestID,
	}, " "))
}

func replayed(r *stripe.APIResponse) bool {
	return r != nil && r.Header.Get("Idempotent-Replayed") == "true"
}

func retryAfter(header string) time.Duration {
	seconds, err := strconv.Atoi(header)
	if err != nil || seconds < 0 {
		return 0
	}
	return time.Duration(seconds) * time.Second
}

var statuses = map[stripe.PaymentIntentStatus]payments.Status{
	stripe.PaymentIntentStatusRequiresPaymentMethod: payments.NeedsMethod,
	stripe.PaymentIntentStatusRequiresConfirmation:  payments.NeedsConfirmation,
	stripe.PaymentIntentStatusRequiresAction:        payments.NeedsAction,
	stripe.PaymentIntentStatusProcessing:            payments.Processing,
	stripe.PaymentIntentStatusRequiresCapture:       payments.Authorized,
	stripe.PaymentIntentStatusSucceeded:             payments.Captured,
	stripe.PaymentIntentStatusCanceled:              payments.Canceled,
}

// intentOf reads an intent whose latest charge is expanded.
func intentOf(pi *stripe.PaymentIntent) payments.Intent {
	i := payments.Intent{
		ID: pi.ID, OrderID: pi.Metadata["order_id"], Status: statuses[pi.Status], AmountMinor: pi.Amount,
		Currency: strings.ToUpper(string(pi.Currency)), CapturedMinor: pi.AmountReceived,
	}
	if pi.LastPaymentError != nil {
		i.DeclineCode = reason(pi.LastPaymentError)
	}
	if c := pi.LatestCharge; c != nil {
		// What was held and never captured counts as refunded at Stripe once it is let go. It was never taken.
		i.RefundedMinor = max(0, c.AmountRefunded-(c.Amount-c.AmountCaptured))
		if c.Outcome != nil {
			switch r := payments.Risk(c.Outcome.RiskLevel); r {
			case payments.RiskNormal, payments.RiskElevated, payments.RiskHighest:
				i.Risk = r
			}
		}
	}
	return i
}
