package stripe_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/payments"
	"example.com/orderly/internal/payments/gatewaytest"
	"example.com/orderly/internal/payments/stripe"
	"example.com/orderly/internal/sandbox"
)

func TestStripeGatewayAgainstTheSandboxConforms(t *testing.T) {
	t.Parallel()
	gatewaytest.Run(t, func(t *testing.T) gatewaytest.Fixture {
		var ahead atomic.Int64
		p := gatewaytest.NewSandbox(t, sandbox.Config{
			Now:        func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) },
			SlowAnswer: time.Minute, ProcessingFor: time.Hour,
		})
		habit := func(name string) func(gatewaytest.Call) string {
			return func(c gatewaytest.Call) string {
				if c == gatewaytest.Void {
					c = "cancel"
				}
				return "pm_sandbox_" + string(c) + "_" + name
			}
		}
		return gatewaytest.Fixture{
			Gateway:     newGateway(t, stripe.Config{APIKey: "sk_test_orderly", URL: p.URL}),
			WrongKey:    newGateway(t, stripe.Config{APIKey: "sk_wrong", URL: p.URL}),
			Unreachable: newGateway(t, stripe.Config{APIKey: "sk_test_orderly", URL: "http://127.0.0.1:1"}),
			Currency:    "EUR",

			Succeeds: "pm_card_visa", RiskElevated: "pm_card_riskLevelElevated", NeedsAction: "pm_card_authenticationRequired",
			Declined: "pm_card_visa_chargeDeclinedInsufficientFunds", DeclineReason: "insufficient_funds",
			Processing: "pm_sandbox_processing", ProcessingDeclined: "pm_sandbox_processing_declined",
			CaptureRefused: "pm_sandbox_capture_refused", HoldLapsed: "pm_sandbox_hold_lapsed", RefundRefused: "pm_sandbox_refund_refused",
			UnknownMethod: "pm_card_nobody_has", LostAnswer: habit("answer_lost"), SavedErrorBefore: habit("error_before"),
			SavedErrorAfter: habit("error_after"), RateLimited: habit("rate_limited"), SlowAnswer: habit("slow"),

			Settle:     func() { ahead.Add(int64(2 * time.Hour)) },
			ForgetKeys: func(t *testing.T) { p.Send(t, http.MethodPost, "/sandbox/forget-keys", "", nil) },
			Delay:      p.Delay,
			Book:       p.Totals,
		}
	})
}

func newGateway(t *testing.T, cfg stripe.Config) payments.Gateway {
	t.Helper()
	g, err := stripe.New(cfg)
	require.NoError(t, err)
	return g
}

func TestGatewayIsBoundedByItsTimeout(t *testing.T) {
	t.Parallel()
	p := gatewaytest.NewSandbox(t, sandbox.Config{SlowAnswer: time.Hour})
	g := newGateway(t, stripe.Config{APIKey: "sk_test_orderly", URL: p.URL, Timeout: 500 * time.Millisecond})
	_, err := g.Create(context.WithoutCancel(t.Context()), "k", payments.NewIntent{
		OrderID: "o-1", AmountMinor: 1000, Currency: "USD", Method: "pm_sandbox_create_slow",
	})
	require.ErrorIs(t, err, payments.ErrUnknownOutcome)
}

// TestLostAnswerIsNeverAskedForTwiceBehindOurBack breaks a reused connection: net/http would repeat the request by itself.
func TestLostAnswerIsNeverAskedForTwiceBehindOurBack(t *testing.T) {
	t.Parallel()
	p := gatewaytest.NewSandbox(t, sandbox.Config{})
	g := newGateway(t, stripe.Config{APIKey: "sk_test_orderly", URL: p.URL})
	i, err := g.Create(t.Context(), "create", payments.NewIntent{
		OrderID: "o-1", AmountMinor: 1000, Currency: "USD", Method: "pm_sandbox_confirm_answer_lost",
	})
	require.NoError(t, err)
	_, err = g.Confirm(t.Context(), "confirm", i.ID)
	require.ErrorIs(t, err, payments.ErrUnknownOutcome)
	var calls map[string]map[string]int
	p.Send(t, http.MethodGet, "/sandbox/calls?order_id=o-1", "", &calls)
	require.Equal(t, map[string]int{"create": 1, "confirm": 1}, calls["o-1"])
}

// TestAnswersThatAreNotAPositiveNoLeaveDoubt gives the answers that no sandbox would: those of proxies and of tomorrow's API.
func TestAnswersThatAreNotAPositiveNoLeaveDoubt(t *testing.T) {
	t.Parallel()
	const stripeError = `{"error":{"type":"invalid_request_error","code":"some_code","message":"no"}}`
	const missing = `{"error":{"type":"invalid_request_error","code":"resource_missing","message":"no"}}`
	const lockTimeout = `{"error":{"type":"invalid_request_error","code":"lock_timeout","message":""}}`
	for name, tc := range map[string]struct {
		status  int
		body    string
		unknown bool
		kind    fault.Kind
	}{
		"a page of a proxy, 502":         {http.StatusBadGateway, "<html>bad gateway</html>", true, fault.Unavailable},
		"a page of a proxy, 400":         {http.StatusBadRequest, "<html>bad request</html>", true, fault.Unavailable},
		"a page of a proxy, 200":         {http.StatusOK, "<html>welcome</html>", true, fault.Unavailable},
		"half an answer":                 {http.StatusOK, `{"id":"pi_1","sta`, true, fault.Unavailable},
		"a status of tomorrow":           {http.StatusOK, `{"id":"pi_1","status":"requires_patience"}`, true, fault.Unavailable},
		"a key in use":                   {http.StatusConflict, stripeError, true, fault.Unavailable},
		"a lock time-out":                {http.StatusBadRequest, lockTimeout, true, fault.Unavailable},
		"a defect about a missing thing": {http.StatusInternalServerError, missing, true, fault.Unavailable},
		"a limit about a missing thing":  {http.StatusTooManyRequests, missing, true, fault.Unavailable},
		"a missing thing":                {http.StatusNotFound, missing, false, fault.NotFound},
		"a teapot":                       {http.StatusTeapot, stripeError, true, fault.Unavailable},
		"a refusal":                      {http.StatusBadRequest, stripeError, false, fault.Conflict},
		"a key without permission (403)": {http.StatusForbidden, stripeError, false, fault.Internal},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(tc.status)
				_, _ = w.Write([]byte(tc.body))
			}))
			t.Cleanup(server.Close)
			_, err := newGateway(t, stripe.Config{APIKey: "sk_test_orderly", URL: server.URL}).Capture(t.Context(), "k", "pi_1")
			require.Equal(t, tc.kind, fault.KindOf(err), "%v", err)
			if tc.unknown {
				require.ErrorIs(t, err, payments.ErrUnknownOutcome)
			} else {
				require.NotErrorIs(t, err, payments.ErrUnknownOutcome)
			}
		})
	}
}

// TestErrorsDoNotCarryTheClientSecret: Stripe embeds the whole intent in its errors, and errors end up in logs and histories.
func TestErrorsDoNotCarryTheClientSecret(t *testing.T) {
	t.Parallel()
	p := gatewaytest.NewSandbox(t, sandbox.Config{})
	g := newGateway(t, stripe.Config{APIKey: "sk_test_orderly", URL: p.URL})
	i, err := g.Create(t.Context(), "k-1", payments.NewIntent{
		OrderID: "o-1", AmountMinor: 1000, Currency: "USD", Method: "pm_sandbox_capture_refused",
	})
	require.NoError(t, err)
	_, err = g.Confirm(t.Context(), "k-2", i.ID)
	require.NoError(t, err)
	_, err = g.Capture(t.Context(), "k-3", i.ID)
	require.ErrorContains(t, err, "capture_unauthorized_payment")
	require.NotContains(t, err.Error(), "_secret_")

	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = w.Write([]byte(`{"error":{"type":"api_error","message":"oh","payment_intent":{"id":"pi_1","client_secret":"pi_1_secret_2"}}}`))
	}))
	t.Cleanup(server.Close)
	_, err = newGateway(t, stripe.Config{APIKey: "sk_test_orderly", URL: server.URL}).Capture(t.Context(), "k", "pi_1")
	require.ErrorIs(t, err, payments.ErrUnknownOutcome)
	require.NotContains(t, err.Error(), "_secret_")
}

// TestCardNumberIsNeitherSentNorShown: only tokens leave this process.
func TestCardNumberIsNeitherSentNorShown(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("a card number was sent")
	}))
	t.Cleanup(server.Close)
	g := newGateway(t, stripe.Config{APIKey: "sk_test_orderly", URL: server.URL})
	for _, number := range []string{"4242424242424242", "pm_4242424242424242", "pm_4242_4242_4242_4242"} {
		err := g.Method(t.Context(), number)
		require.Equal(t, payments.CodeUnknownMethod, fault.CodeOf(err))
		require.NotContains(t, err.Error(), number)
		_, err = g.Create(t.Context(), "k", payments.NewIntent{OrderID: "o-1", AmountMinor: 1000, Currency: "USD", Method: number})
		require.Equal(t, payments.CodeUnknownMethod, fault.CodeOf(err))
		require.NotContains(t, err.Error(), number)
	}
}

func TestGatewayWithoutAKeyIsAConfigurationError(t *testing.T) {
	t.Parallel()
	_, err := stripe.New(stripe.Config{})
	require.Equal(t, payments.CodeMisconfigured, fault.CodeOf(err))
}
