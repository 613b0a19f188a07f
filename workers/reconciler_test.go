package workers_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/orders"
	"example.com/orderly/workers"
	"example.com/orderly/workflows"
)

// An order that is still open while its saga is gone would wait for ever, with its stock and its money held.
func TestReconciler(t *testing.T) {
	t.Parallel()

	t.Run("parks an order whose saga was terminated", func(t *testing.T) {
		t.Parallel()
		o, temporal := newOffice(t), dial(t)
		o.starter.Connect(temporal, true)
		o.run()
		order := o.place()
		require.NoError(t, o.starter.Start(t.Context(), order))
		o.allMarked()
		o.elapsed.Store(int64(2 * time.Minute))
		require.NoError(t, o.reconciler().Once(t.Context()))
		require.Equal(t, orders.NoAttention, o.get(order.ID).Attention, "its saga runs")

		require.NoError(t, temporal.TerminateWorkflow(t.Context(), workflows.OrderWorkflowID(order.ID), "", "test"))
		require.NoError(t, o.reconciler().Once(t.Context()))
		require.Equal(t, orders.Parked, o.get(order.ID).Attention)
		require.Equal(t, workers.ReasonSagaClosed, o.get(order.ID).AttentionReason)
		counts, err := o.orders.Attentions(t.Context())
		require.NoError(t, err)
		require.Equal(t, map[orders.Attention]int64{orders.Parked: 1}, counts)
	})

	t.Run("leaves to the sweep the saga that Temporal has lost", func(t *testing.T) {
		t.Parallel()
		o, temporal := newOffice(t), dial(t)
		order := o.place()
		require.NoError(t, o.orders.MarkStarted(t.Context(), order.ID))
		o.elapsed.Store(int64(2 * time.Minute))
		require.NoError(t, o.reconciler().Once(t.Context()))
		require.Zero(t, o.waiting(), "without Temporal there is nothing to say")

		o.starter.Connect(temporal, true)
		require.NoError(t, o.reconciler().Once(t.Context()))
		require.Equal(t, 1, o.waiting())
	})
}

func (o *office) get(id string) orders.Order {
	o.t.Helper()
	order, err := o.orders.Get(o.t.Context(), id)
	require.NoError(o.t, err)
	return order
}
