package payments_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/payments"
	"example.com/orderly/internal/payments/stripe"
	"example.com/orderly/internal/testenv"
)

func TestOutage(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		w := newWorld(t, open)
		for _, mode := range []string{"unavailable", "drop"} {
			t.Run(mode, func(t *testing.T) {
				w := w.in(t)
				o := w.order("pm_card_visa")
				steps, end := o.life("refund")
				for _, step := range steps {
					w.provider.Send(t, http.MethodPut, "/sandbox/outage", `{"mode":"`+mode+`"}`, nil)
					for range 3 {
						err := step(t.Context(), w.service)
						require.Equal(t, fault.Unavailable, fault.KindOf(err), "%v", err)
					}
					w.provider.Send(t, http.MethodPut, "/sandbox/outage", `{"mode":"off"}`, nil)
					require.NoError(t, step(t.Context(), w.service))
				}
				o.require(end)
			})
		}
	})
}

func TestCredentialsThatAreNotAcceptedAreNotANo(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		w := newWorld(t, open)
		wrong := w.serviceWith(newGateway(t, stripe.Config{APIKey: "sk_wrong", URL: w.provider.URL}))
		other := w.serviceWith(newGateway(t, stripe.Config{APIKey: "sk_test_of_another_account", URL: w.provider.URL}))
		o := w.order("pm_card_visa")
		steps, end := o.life("refund")
		for i, step := range steps {
			err := step(t.Context(), wrong)
			require.Equal(t, fault.Internal, fault.KindOf(err), "%v", err)
			if i > 0 { // the intent is of the first account, and the second knows nothing of it
				err := step(t.Context(), other)
				require.Equal(t, fault.Internal, fault.KindOf(err), "%v", err)
			}
			require.NoError(t, step(t.Context(), w.service))
		}
		o.require(end)
	})
}

func requireWaiting(t *testing.T, err error) {
	t.Helper()
	f, _ := fault.As(err)
	require.True(t, f != nil && f.Waiting, "a payment that is not decided yet is no failure: %v", err)
}

func TestProcessingIsNeitherYesNorNo(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		w := newWorld(t, open)
		undecided := func(o order) {
			for range 3 {
				err := o.authorize(t.Context(), w.service)
				require.Equal(t, "payment_processing", fault.CodeOf(err), "%v", err)
				require.Equal(t, fault.Unavailable, fault.KindOf(err), "%v", err)
				requireWaiting(t, err)
			}
			require.Empty(t, o.events())
		}
		yes, no, abandoned := w.order("pm_sandbox_processing"), w.order("pm_sandbox_processing_declined"), w.order("pm_sandbox_processing")
		for _, o := range []order{yes, no, abandoned} {
			undecided(o)
		}
		calls := abandoned.calls()["cancel"]
		err := abandoned.void(t.Context(), w.service)
		requireWaiting(t, err)
		require.Equal(t, calls+1, abandoned.calls()["cancel"], "one attempt asks once")
		require.Equal(t, fault.Unavailable, fault.KindOf(err), "what is processing can still come to hold money: %v", err)

		w.ahead.Add(int64(2 * time.Hour))
		w.must(yes.authorize)
		yes.require(isAuthorized)
		require.Equal(t, "generic_decline", fault.CodeOf(w.insist(no.authorize, w.service)))
		no.require(isDeclined)
		w.requireUndone(w.insist(abandoned.authorize, w.service))
		w.must(abandoned.void)
		abandoned.require(neverWas)
	})
}

// TestSpentKeyMeetsAnIntentThatWentOn: the saved 500 would be replayed for ever, while the intent has moved elsewhere meanwhile.
func TestSpentKeyMeetsAnIntentThatWentOn(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		w := newWorld(t, open)
		// broken answers a call with a saved 500 for as long as it is asked with the first key.
		broken := func(call string) *payments.Service {
			return w.serviceWith(tapped{Gateway: w.gateway, before: func(now, key string) error {
				if now == call && strings.HasSuffix(key, ":1") {
					return &payments.UnknownOutcome{Call: now, KeyExhausted: true, Err: http.ErrHandlerTimeout}
				}
				return nil
			}})
		}

		t.Run("a hold that lapsed refuses the capture", func(t *testing.T) {
			w := w.in(t)
			o := w.order("pm_card_visa")
			w.must(o.authorize)
			_, err := w.gateway.Void(t.Context(), "lapse-"+o.id, o.row().IntentID)
			require.NoError(t, err)
			require.Equal(t, payments.CodeCaptureRefused, fault.CodeOf(w.insist(o.capture, broken("capture"))))
			w.must(o.refund, o.void)
			o.require(isVoided)
		})

		t.Run("an intent that asks for the customer is closed after all", func(t *testing.T) {
			w := w.in(t)
			o := w.order("pm_card_authenticationRequired")
			require.Equal(t, "authentication_required", fault.CodeOf(w.insist(o.authorize, broken("cancel"))))
			require.Equal(t, "canceled", o.book()[0].Status)
			o.require(isDeclined)
		})
	})
}

// TestRetryAfterReachesTheCaller: the provider's wish is what the saga's next attempt waits for.
func TestRetryAfterReachesTheCaller(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		w := newWorld(t, open)
		o := w.order("pm_card_visa")
		steps, _ := o.life("refund")
		for i, call := range []string{"create", "capture", "refund"} {
			busy := w.serviceWith(tapped{Gateway: w.gateway, before: func(now, _ string) error {
				if now == call {
					return &payments.UnknownOutcome{Call: now, RetryAfter: 7 * time.Second, Err: http.ErrHandlerTimeout}
				}
				return nil
			}})
			f, ok := fault.As(steps[i](t.Context(), busy))
			require.True(t, ok)
			require.Equal(t, 7*time.Second, f.RetryAfter)
			w.must(steps[i])
		}
	})
}
