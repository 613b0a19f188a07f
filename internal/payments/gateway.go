package payments

import (
	"context"
	"errors"
	"fmt"
	"time"

	"example.com/orderly/internal/fault"
)

// Gateway is a payment provider. Money is held first and taken later: Create makes an intent, Confirm holds its amount, Capture
// takes it, Void lets go of the hold, Refund gives back what was taken.
//
// The key of a call is its idempotency key: made by the caller, stable over retries of the same attempt, never used for anything
// else. Providers forget keys (Stripe after a day), so a key only makes a prompt retry safe; after that the caller asks Get what a call did
// whose answer was lost.
//
// If what a call wants is already so (captured, canceled, confirmed before), it succeeds. The Intent returned is the state as it is now,
// never a replayed one.
//
// Every error is one of four, and nothing else:
//
//	declined       fault.Declined, code the provider's reason ("insufficient_funds"). A durable no to Create or Confirm: nothing is held.
//	refused        fault.Invalid, fault.NotFound or fault.Conflict. Asking again will not help: the call has no effect now or later.
//	unknown        *UnknownOutcome (fault.Unavailable). The call may or may not have had its effect, now or later: Get tells.
//	misconfigured  fault.Internal with CodeMisconfigured: the provider did not accept our credentials. No effect; retry once mended.
type Gateway interface {
	// Method checks that the provider knows a payment method; if not, it returns fault.Invalid with CodeUnknownMethod.
	Method(ctx context.Context, id string) error
	// Create makes an unconfirmed intent, which holds and takes nothing. So a lost answer costs nothing: the intent whose id never arrived
	// stays unconfirmed for ever.
	Create(ctx context.Context, key string, in NewIntent) (Intent, error)
	// Confirm asks for the hold. The intent it returns is Authorized, Captured, Processing or NeedsAction; the latter two are neither a
	// yes nor a no yet. A canceled intent is refused with CodeIntentCanceled.
	Confirm(ctx context.Context, key, intentID string) (Intent, error)
	// Get returns the intent as it is now; fault.NotFound if there is none.
	Get(ctx context.Context, intentID string) (Intent, error)
	// Capture takes the whole held amount. It is refused with CodeIntentCanceled if the hold is gone, with CodeNotAuthorized if
	// there never was one, else with the provider's code.
	Capture(ctx context.Context, key, intentID string) (Intent, error)
	// Void ends an intent that was not captured, so that nothing is or ever will be held. It is refused with CodeAlreadyCaptured
	// where only a refund can help.
	Void(ctx context.Context, key, intentID string) (Intent, error)
	// Refund gives back amountMinor of what was captured, or succeeds if all of it was given back before. It is refused with
	// CodeNothingCaptured where there is nothing to give back, and with the provider's code if it will not.
	Refund(ctx context.Context, key, intentID string, amountMinor int64) (Intent, error)
}

// The codes of refusals that do not come from the provider.
const (
	CodeUnknownMethod   = "unknown_payment_method"
	CodeIntentCanceled  = "intent_canceled"
	CodeNotAuthorized   = "not_authorized"
	CodeAlreadyCaptured = "already_captured"
	CodeNothingCaptured = "nothing_captured"
	CodeMisconfigured   = "payment_provider_misconfigured"
)

// NewIntent is what Create needs. OrderID is stored at the provider, where audits find the order by it.
type NewIntent struct {
	OrderID     string
	AmountMinor int64
	Currency    string // ISO 4217, upper case
	Method      string // the provider's token; never a card number
}

// Status is where an intent stands.
type Status string

// The statuses of an intent. Money is held in Authorized, was taken in Captured, and neither in all others; only from Processing
// and NeedsAction can it come to be held without another call of ours.
const (
	NeedsMethod       Status = "needs_method" // also after a decline; see Intent.DeclineCode
	NeedsConfirmation Status = "needs_confirmation"
	NeedsAction       Status = "needs_action"
	Processing        Status = "processing"
	Authorized        Status = "authorized"
	Captured          Status = "captured"
	Canceled          Status = "canceled"
)

// Risk is the provider's opinion of an authorised payment.
type Risk string

// The opinions; RiskUnknown before an authorisation.
const (
	RiskUnknown  Risk = ""
	RiskNormal   Risk = "normal"
	RiskElevated Risk = "elevated"
	RiskHighest  Risk = "highest"
)

// Intent is a payment as the provider knows it. Amounts are in minor units of Currency.
type Intent struct {
	ID            string
	OrderID       string
	Status        Status
	AmountMinor   int64
	Currency      string // ISO 4217, upper case
	CapturedMinor int64
	RefundedMinor int64
	// DeclineCode is the reason of the last decline; empty if there was none or a later attempt succeeded.
	DeclineCode string
	Risk        Risk
}

// Decline returns the decline that the intent's status records, as Confirm would have returned it; nil if it records none.
func (i Intent) Decline() error {
	if i.Status != NeedsMethod || i.DeclineCode == "" {
		return nil
	}
	return Declined(i.DeclineCode)
}

// Declined makes the fault for a decline; reason is the provider's code.
func Declined(reason string) error {
	return fault.New(fault.Declined, reason, "the payment was declined: %s", reason)
}

// ErrUnknownOutcome is what every *UnknownOutcome is, for errors.Is.
var ErrUnknownOutcome = errors.New("the payment provider's answer is not known")

// UnknownOutcome says that a call may or may not have had its effect. It is of kind fault.Unavailable.
type UnknownOutcome struct {
	Call     string
	IntentID string // empty for Create
	// KeyExhausted says that the provider will give this same answer to this key for as long as it remembers the key (a saved 500 is
	// replayed). Only a call with another key can get further, and only after Get has shown that nothing happened.
	KeyExhausted bool
	// RetryAfter is what the provider asked for; zero if it did not.
	RetryAfter time.Duration
	Err        error
}

func (e *UnknownOutcome) Error() string {
	return fmt.Sprintf("outcome of %s of intent %q is unknown: %v", e.Call, e.IntentID, e.Err)
}

// Unwrap makes the error an ErrUnknownOutcome and gives it its kind; the cause, such as context.DeadlineExceeded, stays in the chain.
func (e *UnknownOutcome) Unwrap() []error {
	kind := fault.New(fault.Unavailable, "payment_outcome_unknown", "the payment provider's answer is not known")
	kind.RetryAfter = e.RetryAfter
	return []error{ErrUnknownOutcome, kind, e.Err}
}
