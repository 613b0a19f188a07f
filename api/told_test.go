package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/orderly/events"
	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/reasons"
)

// What the provider says of a card, and how our services came to disagree, stays in rows and events. That goes for rows of before, too.
func TestCustomersAreToldReasonsCoarsely(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]string{
		"stolen_card": "payment_declined", "lost_card": "payment_declined", "fraudulent": "payment_declined", "incorrect_cvc": "payment_declined",
		"code_of_next_year": "payment_declined", "authentication_required": "authentication_failed", "insufficient_funds": "insufficient_funds",
		"step_undone": "internal", "payment_state": "internal", "out_of_stock": "out_of_stock", "cancelled_by_operator": "cancelled_by_operator",
	} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			w := setup(t, func(w *world) {
				w.cfg.Timeline = func(_ context.Context, id string) (all []events.Event, _ error) {
					for i, p := range []events.Payload{
						events.OrderRejected{OrderID: id, CustomerID: "c", Reason: code},
						events.OrderCancelled{OrderID: id, CustomerID: "c", Reason: code},
						events.OrderReversed{OrderID: id, CustomerID: "c", Reason: code},
						events.PaymentDeclined{OrderID: id, AmountMinor: 1, Currency: "EUR", Reason: code},
						events.InventoryRejected{OrderID: id, Reason: code},
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
			_, err := w.orders.Exec(t.Context(), `UPDATE orders SET state = 'rejected', reason = ? WHERE id = ?`, code, id)
			require.NoError(t, err)
			shown := w.do("GET", placed.header.Get("Location"), "", "Authorization: Bearer "+token)
			require.Equal(t, http.StatusOK, shown.status)
			require.Equal(t, want, shown.field("reason"))
			var order struct {
				Timeline []struct{ Data struct{ Reason string } }
			}
			require.NoError(t, json.Unmarshal([]byte(shown.body), &order))
			require.Len(t, order.Timeline, 5)
			for _, event := range order.Timeline {
				require.Equal(t, want, event.Data.Reason)
			}
			if want != code {
				require.NotContains(t, shown.body, code)
			}
		})
	}
}

// Every type in the catalogue, with a text in each of its fields and in one that it does not have, and a type that is not in the catalogue.
func TestTheTimelineShowsWhatTheTableSays(t *testing.T) {
	t.Parallel()
	const secret = "not for customers"
	shownWith := map[string][]string{ // beside the order's id
		"order.created.v1":   {"currency", "customer_id", "lines", "total_minor"},
		"order.confirmed.v1": {"currency", "customer_id", "total_minor"}, "order.completed.v1": {"currency", "customer_id", "total_minor"},
		"order.rejected.v1": {"customer_id", "reason"}, "order.cancelled.v1": {"customer_id", "reason"}, "order.reversed.v1": {"customer_id", "reason"},
		"order.parked.v1": nil, "order.resumed.v1": nil,
		"inventory.reserved.v1": {"lines"}, "inventory.released.v1": {"lines"}, "inventory.rejected.v1": {"reason"},
		"payment.authorized.v1": {"amount_minor", "currency"}, "payment.captured.v1": {"amount_minor", "currency"},
		"payment.voided.v1": {"amount_minor", "currency"}, "payment.refunded.v1": {"amount_minor", "currency"},
		"payment.declined.v1":  {"amount_minor", "currency", "reason"},
		"nowhere.announced.v1": nil, "stock.adjusted.v1": nil, "user.registered.v1": nil, "user.updated.v1": nil, "user.deleted.v1": nil,
	}
	types := []string{"nowhere.announced.v1"}
	for _, payload := range events.Catalogue() {
		types = append(types, payload.EventType())
	}
	require.ElementsMatch(t, types, slices.Collect(maps.Keys(shownWith)), "say here and in told.go what customers are shown of a type")
	w := setup(t, func(w *world) {
		w.cfg.Timeline = func(_ context.Context, id string) (all []events.Event, _ error) {
			for i, name := range types {
				all = append(all, events.Event{
					Type: name, Source: "orders", Subject: id, Sequence: int64(i + 1), Time: today,
					Data: json.RawMessage(`{"order_id":"` + id + `","customer_id":"c","currency":"EUR","total_minor":1,"amount_minor":1,"lines":[],` +
						`"reason":"` + secret + `","step":"` + secret + `","note":"` + secret + `","score":"` + secret + `"}`),
				})
			}
			return all, nil
		}
	})
	token := w.token("ada")
	placed := w.place(token, "key-1", twoMugs)
	shown := w.do("GET", placed.header.Get("Location"), "", "Authorization: Bearer "+token)
	require.NotContains(t, shown.body, secret)
	var order struct {
		Timeline []struct {
			Type string
			Data map[string]any
		}
	}
	require.NoError(t, json.Unmarshal([]byte(shown.body), &order))
	require.Len(t, order.Timeline, len(types))
	for _, event := range order.Timeline {
		require.Equal(t, placed.field("id"), event.Data["order_id"], event.Type)
		require.ElementsMatch(t, append([]string{"order_id"}, shownWith[event.Type]...), slices.Collect(maps.Keys(event.Data)), event.Type)
	}
}

// The provider may refuse a method before an order is accepted. Of its refusals only that it does not know the method goes through.
func TestARefusedPaymentMethodIsToldCoarsely(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind         fault.Kind
		code, detail string
	}{
		{fault.Invalid, "unknown_payment_method", "payment method pm_1 is not known"},
		{fault.Invalid, "incorrect_cvc", "the payment provider does not take this payment method"},
		{fault.Conflict, "stolen_card", "the payment provider does not take this payment method"},
		{fault.Declined, "lost_card", "the payment provider does not take this payment method"},
		{fault.NotFound, "unknown_intent", "the payment provider does not take this payment method"},
	} {
		t.Run(c.code, func(t *testing.T) {
			t.Parallel()
			w := setup(t, func(w *world) {
				w.cfg.CheckMethod = func(context.Context, string) error {
					return fmt.Errorf("look up a method: %w", fault.New(c.kind, c.code, "payment method pm_1 is not known"))
				}
			})
			refused := w.place(w.token("ada"), "key-1", twoMugs)
			requireProblem(t, refused, http.StatusUnprocessableEntity, "unknown_payment_method")
			require.Equal(t, c.detail, refused.field("detail"))
			require.Zero(t, rows(t, w.orders)["orders"])
			if c.code != "unknown_payment_method" {
				require.Contains(t, w.log.String(), "look up a method: payment method pm_1 is not known", "operators are told what the provider said")
			}
		})
	}
}

// The contract lists what an order's reason may be.
func TestTheContractListsTheReasons(t *testing.T) {
	t.Parallel()
	w := setup(t)
	document := w.do("GET", "/openapi.yaml", "").body
	for _, reason := range reasons.All() {
		require.Contains(t, document, "`"+reason+"`")
	}
}
