package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A key that the provider refuses needs a person. The order is parked at once, with the reason; nothing waits for an outage to end.
func TestAKeyThatTheProviderRefusesParksOrders(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.env = append(w.env, "STRIPE_API_URL=http://"+w.book, "STRIPE_API_KEY=rk_test_of_another_account", "ORDERLY_DATA="+w.data,
		"ORDERLY_PRODUCTS=demo")
	said, code := w.command("migrate")
	require.Zero(t, code, said)
	sandbox := w.launch("sandbox")
	eventually(t, time.Minute, "the sandbox does not come up", func() bool { return strings.Contains(sandbox.printed(), "Sandbox ") })
	all := w.launch("serve", "all")
	eventually(t, time.Minute, "serve all does not come up", func() bool { return strings.Contains(all.printed(), "msg=ready") })
	order := w.place(w.customer(), "pm_card_visa")
	require.Equal(t, "pending", order.State)
	eventually(t, 30*time.Second, "the order is not parked", func() bool {
		return strings.Contains(w.metrics(), `orderly_orders_attention{attention="parked"} 1`)
	})
	require.Contains(t, all.printed(), "the payment provider refused our key")
	eventually(t, 30*time.Second, "readiness does not show it", func() bool {
		status, word := readiness(w.api)
		return status == http.StatusOK && word == "degraded" && strings.Contains(all.printed(), `name="payment provider"`)
	})
	all.terminate()
}
