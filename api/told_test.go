package api_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/orderly/events"
)

// Codes that say how our services came to disagree are for operators; a customer is told that the fault is ours. What the business said
// goes through.
func TestCustomersAreNotToldWhatIsForOperators(t *testing.T) {
	t.Parallel()
	for reason, want := range map[string]string{
		"step_undone": "internal", "order_state": "internal", "payment_state": "internal", "already_reserved": "internal",
		"out_of_stock": "out_of_stock", "cancelled_by_operator": "cancelled_by_operator",
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			w := setup(t, func(w *world) {
				w.cfg.Timeline = func(_ context.Context, id string) (all []events.Event, _ error) {
					for i, p := range []events.Payload{
						events.OrderParked{OrderID: id, Step: "Void payment", Reason: "payment_captured"},
						events.OrderResumed{OrderID: id, Step: "Void payment"},
						events.OrderRejected{OrderID: id, CustomerID: "c", Reason: reason},
						events.OrderCancelled{OrderID: id, CustomerID: "c", Reason: reason},
						events.OrderReversed{OrderID: id, CustomerID: "c", Reason: reason},
					} {
						event, err := events.New("orders", id, int64(i+1), today, p)
						require.NoError(t, err)
						all = append(all, event)
					}
					return all, nil
				}
			})
			token := w.token("ada")
			placed := w.place(token, "key-1", twoMugs)
			id := placed.field("id")
			_, err := w.orders.Exec(t.Context(), `UPDATE orders SET state = 'rejected', reason = ? WHERE id = ?`, reason, id)
			require.NoError(t, err)
			shown := w.do("GET", placed.header.Get("Location"), "", "Authorization: Bearer "+token)
			require.Equal(t, http.StatusOK, shown.status)
			require.Equal(t, want, shown.field("reason"))
			for _, hidden := range []string{"payment_captured", "Void payment"} {
				require.NotContains(t, shown.body, hidden)
			}
			require.Contains(t, shown.body, `"data":{"order_id":"`+id+`","customer_id":"c","reason":"`+want+`"}`)
			require.Contains(t, shown.body, `"data":{"order_id":"`+id+`"}`)
			if want != reason {
				require.NotContains(t, shown.body, reason)
			}
		})
	}
}
