package stripe_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/payments"
	"example.com/orderly/internal/payments/stripe"
)

// Any answer to any call: it is one of the five outcomes of the contract, money counts as held or taken only where the answer says so, and
// as refused only where it is a no.
func FuzzAnswer(f *testing.F) {
	for status, body := range map[uint16]string{
		200: `{"id":"pi_1","object":"payment_intent","status":"succeeded","amount":1000,"amount_received":1000,"currency":"eur","latest_charge":{"amount":1000,"amount_captured":1000,"amount_refunded":0,"outcome":{"risk_level":"normal"}}}`,
		201: `{"id":"re_1","object":"refund","status":"failed","failure_reason":"lost_or_stolen_card","payment_intent":"pi_1"}`,
		202: `{"id":"pi_1","status":"requires_payment_method","last_payment_error":{"type":"card_error","code":"card_declined","decline_code":"stolen_card"}}`,
		402: `{"error":{"type":"card_error","code":"card_declined","decline_code":"insufficient_funds","message":"no","payment_intent":{"id":"pi_1","client_secret":"pi_1_secret_2"}}}`,
		400: `{"error":{"type":"invalid_request_error","code":"payment_intent_unexpected_state","message":"no"}}`,
		404: `{"error":{"type":"invalid_request_error","code":"resource_missing","param":"payment_method","message":"no"}}`,
		401: `{"error":{"type":"invalid_request_error","message":"bad key"}}`,
		500: `{"error":`, 503: `null`, 409: `[]`,
	} {
		f.Add(status, []byte(body), false)
		f.Add(status, []byte(body), true)
	}
	var answer struct {
		status   int
		body     []byte
		replayed bool
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if answer.replayed {
			w.Header().Set("Idempotent-Replayed", "true")
		}
		w.WriteHeader(answer.status)
		_, _ = w.Write(answer.body)
	}))
	f.Cleanup(server.Close)
	g, err := stripe.New(stripe.Config{APIKey: "sk_test_orderly", URL: server.URL})
	require.NoError(f, err)

	f.Fuzz(func(t *testing.T, status uint16, body []byte, replayed bool) {
		answer.status, answer.body, answer.replayed = 200+int(status)%400, body, replayed
		for call, ask := range map[string]func() (payments.Intent, error){
			"method": func() (payments.Intent, error) { return payments.Intent{}, g.Method(t.Context(), "pm_card_visa") },
			"create": func() (payments.Intent, error) {
				return g.Create(t.Context(), "k", payments.NewIntent{OrderID: "o", AmountMinor: 1000, Currency: "EUR", Method: "pm_card_visa"})
			},
			"get":     func() (payments.Intent, error) { return g.Get(t.Context(), "pi_1") },
			"confirm": func() (payments.Intent, error) { return g.Confirm(t.Context(), "k", "pi_1") },
			"capture": func() (payments.Intent, error) { return g.Capture(t.Context(), "k", "pi_1") },
			"void":    func() (payments.Intent, error) { return g.Void(t.Context(), "k", "pi_1") },
			"refund":  func() (payments.Intent, error) { return g.Refund(t.Context(), "k", "pi_1", 1000) },
		} {
			intent, err := ask()
			kind := fault.KindOf(err)
			switch {
			case err == nil && call == "confirm":
				require.Contains(t, []payments.Status{payments.Authorized, payments.Captured, payments.Processing, payments.NeedsAction}, intent.Status)
			case err == nil && call == "capture":
				require.Equal(t, payments.Captured, intent.Status)
			case err == nil && call == "void":
				require.Equal(t, payments.Canceled, intent.Status)
			case err == nil && call == "refund":
				require.Positive(t, intent.RefundedMinor)
			case err == nil:
			case errors.Is(err, payments.ErrUnknownOutcome):
				require.Equal(t, fault.Unavailable, kind)
			default:
				require.Contains(t, []fault.Kind{fault.Declined, fault.Invalid, fault.NotFound, fault.Conflict, fault.Internal}, kind, "%s: %v", call, err)
				require.NotEmpty(t, fault.CodeOf(err), "%s: %v", call, err)
				require.Less(t, answer.status, 500, "%s: a defect at the provider is no refusal: %v", call, err)
				require.NotContains(t, []int{http.StatusConflict, http.StatusTooManyRequests}, answer.status, "%s: %v", call, err)
				if kind == fault.Declined {
					require.True(t, call == "create" || call == "confirm", "%s: %v", call, err)
				}
				if kind == fault.Internal {
					require.Contains(t, []int{http.StatusUnauthorized, http.StatusForbidden}, answer.status, "%s: %v", call, err)
				}
			}
			if err == nil && (intent.Status == payments.Authorized || intent.Status == payments.Captured) {
				require.Less(t, answer.status, 300)
			}
		}
	})
}
