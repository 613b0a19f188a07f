package reasons_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-go/v85"

	"example.com/orderly/internal/reasons"
)

func TestADeclineIsToldInFourWords(t *testing.T) {
	t.Parallel()
	for _, code := range []stripe.DeclineCode{
		stripe.DeclineCodeCardVelocityExceeded, stripe.DeclineCodeDoNotHonor, stripe.DeclineCodeFraudulent, stripe.DeclineCodeGenericDecline,
		stripe.DeclineCodeIncorrectCVC, stripe.DeclineCodeIncorrectNumber, stripe.DeclineCodeIncorrectPIN, stripe.DeclineCodeIncorrectZip,
		stripe.DeclineCodeInvalidCVC, stripe.DeclineCodeInvalidExpiryMonth, stripe.DeclineCodeLostCard, stripe.DeclineCodeMerchantBlacklist,
		stripe.DeclineCodePickupCard, stripe.DeclineCodeRestrictedCard, stripe.DeclineCodeSecurityViolation, stripe.DeclineCodeStolenCard,
		"card_declined", "a_code_of_next_year", "Out_of_stock", " ", "capture_refused", "intent_canceled", "unknown_payment_method",
	} {
		require.Equal(t, "payment_declined", reasons.Told(string(code)), "%s", code)
	}
	for code, want := range map[string]string{
		string(stripe.DeclineCodeInsufficientFunds):                "insufficient_funds",
		string(stripe.DeclineCodeExpiredCard):                      "expired_card",
		string(stripe.DeclineCodeAuthenticationRequired):           "authentication_failed",
		string(stripe.ErrorCodePaymentIntentAuthenticationFailure): "authentication_failed",
		"out_of_stock": "out_of_stock", "unknown_sku": "unknown_sku", "cancel_requested": "cancel_requested",
		"cancelled_by_operator": "cancelled_by_operator", "step_undone": "internal", "internal": "internal", "": "",
	} {
		require.Equal(t, want, reasons.Told(code), "%s", code)
	}
	require.Equal(t, []string{
		"authentication_failed", "cancel_requested", "cancelled_by_operator", "expired_card", "insufficient_funds", "internal", "out_of_stock",
		"payment_declined", "unknown_sku",
	}, reasons.All())
}

func FuzzTold(f *testing.F) {
	f.Add("stolen_card")
	f.Add("internal")
	f.Add("")
	known := map[string]bool{"": true}
	for _, reason := range reasons.All() {
		f.Add(reason)
		known[reason] = true
	}
	f.Fuzz(func(t *testing.T, code string) {
		got := reasons.Told(code)
		require.True(t, known[got], "%q is told as %q", code, got)
		require.Equal(t, code == "", got == "", "%q is told as %q", code, got)
		require.Equal(t, got, reasons.Told(got), "what was told once is told so again")
	})
}
