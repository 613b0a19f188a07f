package listen_test

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"example.com/orderly/events/listen"
)

func TestTheCollectorShowsHowEachListenerStands(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, w *world) {
		one := w.open(listen.Listener{Subscription: listen.Subscription{Name: "audit"}, Apply: apply("audit")})
		other := w.open(listen.Listener{Subscription: listen.Subscription{Name: "idle"}, Apply: apply("idle")})
		require.NoError(t, one.Store(t.Context(), "audit", messages(t, "a", 2)))
		stop := w.run(one)
		w.becomes(one, "audit", "orders/a/2", "done")
		stop()
		require.NoError(t, one.Store(t.Context(), "audit", append(messages(t, "b", 3), listen.Message{Body: []byte("?")})))
		w.clock.advance(time.Minute)

		registry := prometheus.NewPedanticRegistry()
		require.NoError(t, registry.Register(listen.Collector{one, other}))
		families, err := registry.Gather()
		require.NoError(t, err)
		figures := map[string]float64{}
		for _, family := range families {
			for _, metric := range family.GetMetric() {
				name := family.GetName()
				for _, label := range metric.GetLabel() {
					name += " " + label.GetValue()
				}
				figures[name] = metric.GetCounter().GetValue() + metric.GetGauge().GetValue()
			}
		}
		require.Equal(t, map[string]float64{
			"orderly_inbox_events audit pending": 3, "orderly_inbox_events audit dead": 1,
			"orderly_inbox_events idle pending": 0, "orderly_inbox_events idle dead": 0,
			"orderly_inbox_attempts_total audit done": 2, "orderly_inbox_attempts_total audit failed": 0,
			"orderly_inbox_attempts_total idle done": 0, "orderly_inbox_attempts_total idle failed": 0,
			"orderly_inbox_oldest_seconds audit": 60, "orderly_inbox_oldest_seconds idle": 0,
			"orderly_inbox_due_seconds audit": 60, "orderly_inbox_due_seconds idle": 0,
		}, figures)
	})
}
