package payments_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/payments"
	"example.com/orderly/internal/testenv"
)

// Without a key of their own two orders would share a step record, and their calls one idempotency key at the provider.
func TestAPaymentWithoutAKeyAsksTheProviderForNothing(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		w := newWorld(t, open)
		o := w.order("pm_card_visa")
		for _, err := range []error{
			w.service.Authorize(t.Context(), payments.Authorization{OrderID: o.id, AmountMinor: amount, Currency: "EUR", PaymentMethod: "pm_card_visa"}),
			w.service.Capture(t.Context(), payments.Capture{OrderID: o.id}),
			w.service.Void(t.Context(), payments.Undo{OrderID: o.id, Undoes: "order-1:authorize"}),
			w.service.Refund(t.Context(), payments.Undo{OrderID: o.id, Undoes: "order-1:capture"}),
		} {
			require.Equal(t, fault.Internal, fault.KindOf(err))
			require.ErrorContains(t, err, "no key")
		}
		require.Empty(t, o.calls())
	})
}
