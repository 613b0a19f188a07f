package workers_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/orders"
	"example.com/orderly/workflows"
)

// The process that placed an order may have died before its saga was started, and Temporal may come late.
func TestSweepStartsWhatIsLeft(t *testing.T) {
	t.Parallel()
	o, temporal := newOffice(t), dial(t)
	left := []orders.Order{o.place(), o.place()}
	ctx, stop := context.WithCancel(t.Context())
	swept := make(chan error, 1)
	go func() { swept <- o.sweeper().Run(ctx) }()
	o.run()

	o.elapsed.Store(int64(time.Minute)) // old enough that no other process is about to start them
	o.starter.Connect(temporal, true)
	require.Eventually(t, func() bool { return o.waiting() == 0 }, 30*time.Second, 10*time.Millisecond)
	for _, order := range left {
		require.NotEmpty(t, o.describe(temporal, order.ID))
	}
	stop()
	require.NoError(t, <-swept)
}

// The sweep leaves alone what another process is just about to start.
func TestSweepLeavesYoungOrdersAlone(t *testing.T) {
	t.Parallel()
	o, temporal := newOffice(t), dial(t)
	o.starter.Connect(temporal, true)
	o.run()
	old := o.place()
	o.elapsed.Store(int64(time.Minute))
	young := o.place()
	require.NoError(t, o.sweeper().Once(t.Context()))
	require.NotEmpty(t, o.describe(temporal, old.ID))
	_, err := temporal.DescribeWorkflowExecution(t.Context(), workflows.OrderWorkflowID(young.ID), "")
	require.Error(t, err)
}

func TestSweepLeavesAloneWhatIsOnItsWay(t *testing.T) {
	t.Parallel()
	o, temporal := newOffice(t), dialHeld(t)
	o.starter.Connect(temporal.client, false)
	o.run()
	require.NoError(t, o.starter.Enqueue(t.Context(), o.place()))
	<-temporal.arrived
	o.elapsed.Store(int64(time.Minute)) // in a rush, orders are queued for longer than the sweep's age
	require.NoError(t, o.sweeper().Once(t.Context()))
	require.Empty(t, temporal.arrived, "it was started a second time")
	temporal.answer(t, nil)
	o.allMarked()
}

func TestSweepLeavesAloneWhatIsQueued(t *testing.T) {
	t.Parallel()
	o, temporal := newOffice(t), dialHeld(t)
	o.starter.Connect(temporal.client, false)
	require.NoError(t, o.starter.Enqueue(t.Context(), o.place()))
	o.elapsed.Store(int64(time.Minute))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	require.NoError(t, o.sweeper().Once(ctx))
	require.NoError(t, ctx.Err(), "it waited for the order's turn")
}
