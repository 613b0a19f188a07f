package workers_test

import (
	"bytes"
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

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

	t.Run("says nothing of an order that ended while it looked", func(t *testing.T) {
		t.Parallel()
		temporal := dial(t)
		for name, started := range map[string]bool{"its saga has closed": true, "Temporal does not know its saga any more": false} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				o := newOffice(t)
				order := o.place()
				if started {
					o.starter.Connect(temporal, true)
					o.run()
					require.NoError(t, o.starter.Start(t.Context(), order))
				}
				require.NoError(t, o.orders.MarkStarted(t.Context(), order.ID))
				o.elapsed.Store(int64(2 * time.Minute))
				o.starter.Connect(endsMeanwhile{Client: temporal, end: func() {
					if started {
						require.NoError(t, temporal.TerminateWorkflow(t.Context(), workflows.OrderWorkflowID(order.ID), "", "test"))
					}
					require.NoError(t, o.orders.Reject(t.Context(), orders.Move{Key: "reject:" + order.ID, OrderID: order.ID, Reason: "out_of_stock"}))
				}}, true)
				r, log := o.reconciler(), new(bytes.Buffer)
				r.Log = slog.New(slog.NewTextHandler(log, nil))
				require.NoError(t, r.Once(t.Context()))
				require.Equal(t, orders.Rejected, o.get(order.ID).State)
				require.Empty(t, log.String())
			})
		}
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

// endsMeanwhile is Temporal for a reconciler that lists the order before its end and asks for its saga after it.
type endsMeanwhile struct {
	client.Client
	end func()
}

func (e endsMeanwhile) DescribeWorkflowExecution(ctx context.Context, id, run string) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	e.end()
	return e.Client.DescribeWorkflowExecution(ctx, id, run)
}

func (o *office) get(id string) orders.Order {
	o.t.Helper()
	order, err := o.orders.Get(o.t.Context(), id)
	require.NoError(o.t, err)
	return order
}
