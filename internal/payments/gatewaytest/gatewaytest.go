// Package gatewaytest is the conformance suite of payments.Gateway: what the payments service relies on with every provider.
// A new provider brings a Fixture (a test account or a sandbox of its own that can misbehave on request) and calls Run.
package gatewaytest

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/payments"
)

// Call is a call of the gateway that has an effect.
type Call string

// The calls that can be made to misbehave.
const (
	Create  Call = "create"
	Confirm Call = "confirm"
	Capture Call = "capture"
	Void    Call = "void"
	Refund  Call = "refund"
)

var calls = []Call{Create, Confirm, Capture, Void, Refund}

// Totals is what the provider's own book says about one order. Amounts are in minor units.
type Totals struct {
	Intents, Charges                              int
	AuthorizedMinor, CapturedMinor, RefundedMinor int64
}

// Fixture is a provider under test. Every method is a token of a payment that goes well unless its name says otherwise.
type Fixture struct {
	Gateway payments.Gateway
	// WrongKey and Unreachable are the same gateway with bad credentials, and with an address where nothing listens.
	WrongKey, Unreachable payments.Gateway
	Currency              string

	Succeeds, RiskElevated, NeedsAction       string
	Declined, DeclineReason                   string
	Processing, ProcessingDeclined            string
	CaptureRefused, HoldLapsed, RefundRefused string
	UnknownMethod                             string
	LostAnswer, SavedErrorBefore              func(Call) string // the first such call misbehaves, the next does not
	SavedErrorAfter, RateLimited              func(Call) string
	SlowAnswer                                func(Call) string // takes well over a second

	// Settle lets the provider decide what is processing.
	Settle func()
	// ForgetKeys makes the provider forget every idempotency key.
	ForgetKeys func(t *testing.T)
	// Delay keeps the next such call of the order in the network, ahead of its effect. waiting reports that it is there; arrive lets it
	// through and returns when it has been carried out.
	Delay func(t *testing.T, call Call, orderID string) (waiting func() bool, arrive func())
	// Book reads the provider's own book.
	Book func(t *testing.T, orderID string) Totals
}

const amount = 3000

// trial is one order on its way through a provider.
type trial struct {
	Fixture
	t       *testing.T
	ctx     context.Context
	orderID string
	id      string
}

// Run runs the suite; newFixture is called once per case, for a provider whose book may be shared but whose switches are not.
func Run(t *testing.T, newFixture func(t *testing.T) Fixture) {
	begin := func(t *testing.T) *trial {
		t.Helper()
		t.Parallel()
		f := newFixture(t)
		return &trial{Fixture: f, t: t, ctx: t.Context(), orderID: "order-" + t.Name()}
	}
	for name, test := range map[string]func(*trial){
		"created intent holds nothing":              createdHoldsNothing,
		"goes from hold to capture to refund":       wholeWay,
		"void lets go of the hold":                  voidReleases,
		"goal reached before is a success":          goalReachedBefore,
		"contradicting calls are refused":           contradictions,
		"refund is bounded by the capture":          refundBounds,
		"decline is durable":                        declineIsDurable,
		"unknown things are refused":                unknownThings,
		"key means one thing":                       keyMeansOneThing,
		"replayed yes is not the present":           replayIsNotThePresent,
		"risk is reported":                          riskReported,
		"customer's action is awaited":              actionAwaited,
		"processing is neither yes nor no":          processingUndecided,
		"refused capture can be voided":             captureRefused,
		"lapsed hold is refused for good":           holdLapsed,
		"refused refund is refused for good":        refundRefused,
		"late confirm after the void holds nothing": lateConfirm,
		"bad credentials are not a no":              wrongKey,
		"unreachable provider leaves doubt":         unreachable,
	} {
		t.Run(name, func(t *testing.T) { test(begin(t)) })
	}
	for _, call := range calls {
		for name, test := range map[string]func(*trial, Call){
			"lost answer is found by the same key":        lostAnswerSameKey,
			"lost answer is found after keys are gone":    lostAnswerKeysGone,
			"saved error without effect spends the key":   savedErrorBefore,
			"saved error with effect is resolved by look": savedErrorAfter,
			"rate limit leaves the key usable":            rateLimit,
			"slow answer leaves doubt":                    slow,
		} {
			t.Run(fmt.Sprintf("%s: %s", call, name), func(t *testing.T) { test(begin(t), call) })
		}
	}
}

func (tr *trial) create(method, key string) (payments.Intent, error) {
	return tr.Gateway.Create(tr.ctx, key, payments.NewIntent{
		OrderID: tr.orderID, AmountMinor: amount, Currency: tr.Currency, Method: method,
	})
}

func (tr *trial) key(call Call, attempt int) string {
	return fmt.Sprintf("%s:%s:%d", tr.orderID, call, attempt)
}

// do makes one call of the trial's order under the key of an attempt.
func (tr *trial) do(call Call, method string, attempt int) (payments.Intent, error) {
	key := tr.key(call, attempt)
	switch call {
	case Create:
		i, err := tr.create(method, key)
		if err == nil {
			tr.id = i.ID
		}
		return i, err
	case Confirm:
		return tr.Gateway.Confirm(tr.ctx, key, tr.id)
	case Capture:
		return tr.Gateway.Capture(tr.ctx, key, tr.id)
	case Void:
		return tr.Gateway.Void(tr.ctx, key, tr.id)
	default:
		return tr.Gateway.Refund(tr.ctx, key, tr.id, amount)
	}
}

// must makes calls that have to succeed.
func (tr *trial) must(method string, list ...Call) payments.Intent {
	tr.t.Helper()
	var i payments.Intent
	for _, call := range list {
		var err error
		i, err = tr.do(call, method, 1)
		require.NoError(tr.t, err, "%s", call)
	}
	return i
}

// upTo makes the calls that come before one on its way.
func (tr *trial) upTo(call Call, method string) {
	tr.t.Helper()
	switch call {
	case Confirm:
		tr.must(method, Create)
	case Capture, Void:
		tr.must(method, Create, Confirm)
	case Refund:
		tr.must(method, Create, Confirm, Capture)
	}
}

func (tr *trial) get() payments.Intent {
	tr.t.Helper()
	i, err := tr.Gateway.Get(tr.ctx, tr.id)
	require.NoError(tr.t, err)
	return i
}

// reached says what an intent looks like once a call has had its effect.
func reached(call Call, i payments.Intent) bool {
	switch call {
	case Create:
		return i.ID != ""
	case Confirm:
		return i.Status == payments.Authorized
	case Capture:
		return i.Status == payments.Captured && i.CapturedMinor == amount
	case Void:
		return i.Status == payments.Canceled
	default:
		return i.RefundedMinor == amount
	}
}

// effect is what the provider's book must show after the call has had its effect once.
func effect(call Call) Totals {
	switch call {
	case Create:
		return Totals{Intents: 1}
	case Confirm:
		return Totals{Intents: 1, Charges: 1, AuthorizedMinor: amount}
	case Capture:
		return Totals{Intents: 1, Charges: 1, CapturedMinor: amount}
	case Void:
		return Totals{Intents: 1, Charges: 1}
	default:
		return Totals{Intents: 1, Charges: 1, CapturedMinor: amount, RefundedMinor: amount}
	}
}

func (tr *trial) unknown(err error) *payments.UnknownOutcome {
	tr.t.Helper()
	require.ErrorIs(tr.t, err, payments.ErrUnknownOutcome)
	require.Equal(tr.t, fault.Unavailable, fault.KindOf(err), "%v", err)
	var u *payments.UnknownOutcome
	require.ErrorAs(tr.t, err, &u)
	return u
}

func (tr *trial) refused(err error, kind fault.Kind, code string) {
	tr.t.Helper()
	require.Error(tr.t, err)
	require.NotErrorIs(tr.t, err, payments.ErrUnknownOutcome)
	require.Equal(tr.t, kind, fault.KindOf(err), "%v", err)
	if code != "" {
		require.Equal(tr.t, code, fault.CodeOf(err), "%v", err)
	}
}
