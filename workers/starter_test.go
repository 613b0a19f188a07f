package workers_test

import (
	"context"
	"log/slog"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/orders"
	"example.com/orderly/internal/outbox"
	"example.com/orderly/internal/testenv"
	"example.com/orderly/workers"
	"example.com/orderly/workflows"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// office is the orders service, a starter without Temporal, and a clock.
type office struct {
	t       *testing.T
	orders  *orders.Service
	starter *workers.Starter
	elapsed atomic.Int64
}

func newOffice(t *testing.T) *office {
	t.Helper()
	o := &office{t: t}
	now := func() time.Time { return time.Now().Add(time.Duration(o.elapsed.Load())) }
	o.orders = orders.New(outbox.New(testenv.SQLite(t, "orders", orders.Migrations()...), "orders", now), nil)
	require.NoError(t, o.orders.AddProducts(t.Context(), []orders.Product{{SKU: "tea", Name: "Tea", PriceMinor: 1000, Currency: "EUR"}}))
	o.starter = workers.NewStarter(o.orders, slog.New(slog.DiscardHandler), now)
	return o
}

func (o *office) place() orders.Order {
	o.t.Helper()
	order, _, err := o.orders.Place(o.t.Context(), orders.Placement{
		CustomerID: "c-1", IdempotencyKey: uuid.NewString(), PaymentMethod: "pm_card_visa", Lines: []orders.Wanted{{SKU: "tea", Quantity: 1}},
	})
	require.NoError(o.t, err)
	return order
}

// waiting is how many orders nobody saw start.
func (o *office) waiting() int {
	o.t.Helper()
	unstarted, err := o.orders.Unstarted(o.t.Context(), 0, 1000)
	require.NoError(o.t, err)
	return len(unstarted)
}

func temporalAddress(t *testing.T) string {
	t.Helper()
	return testenv.Temporal(t, workflows.SearchAttributes())
}

func dial(t *testing.T, options ...grpc.DialOption) client.Client {
	t.Helper()
	c, err := client.Dial(client.Options{
		HostPort: temporalAddress(t), Logger: log.NewStructuredLogger(slog.New(slog.DiscardHandler)),
		ConnectionOptions: client.ConnectionOptions{DialOptions: options},
	})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

func TestStart(t *testing.T) {
	t.Parallel()

	t.Run("starts the saga once, however often it is asked", func(t *testing.T) {
		t.Parallel()
		o, temporal := newOffice(t), dial(t)
		o.starter.Connect(temporal, true)
		order := o.place()
		require.NoError(t, o.starter.Start(t.Context(), order))
		first := o.describe(temporal, order.ID)
		require.NoError(t, o.starter.Start(t.Context(), order))
		require.Equal(t, first, o.describe(temporal, order.ID))
		require.Zero(t, o.waiting())

		require.NoError(t, temporal.TerminateWorkflow(t.Context(), workflows.OrderWorkflowID(order.ID), "", "test"))
		require.NoError(t, o.starter.Start(t.Context(), order))
		require.Equal(t, first, o.describe(temporal, order.ID), "a second saga was started for an order whose first one has closed")
	})

	t.Run("is unavailable without Temporal, and the order waits", func(t *testing.T) {
		t.Parallel()
		o := newOffice(t)
		err := o.starter.Start(t.Context(), o.place())
		require.Equal(t, fault.Unavailable, fault.KindOf(err))
		require.Equal(t, 1, o.waiting())
	})

	t.Run("runs without search attributes where the namespace has none", func(t *testing.T) {
		t.Parallel()
		temporal := dial(t)
		o := newOffice(t)
		o.starter.Connect(temporal, false)
		require.NoError(t, o.starter.Start(t.Context(), o.place()))
	})
}

// While Mark runs, an order does not wait until its start is written down, and no mark is lost when it is told to stop.
func TestMarksAreWrittenDownTogether(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.starter.Connect(dial(t), true)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- o.starter.Mark(ctx) }()
	for range 20 {
		require.NoError(t, o.starter.Start(t.Context(), o.place()))
	}
	require.Eventually(t, func() bool { return o.waiting() == 0 }, 10*time.Second, 10*time.Millisecond)
	require.NoError(t, o.starter.Start(t.Context(), o.place()))
	stop()
	require.NoError(t, <-ended)
	require.Zero(t, o.waiting())
	require.NoError(t, o.starter.Start(t.Context(), o.place()))
	require.Zero(t, o.waiting(), "nobody writes marks down any more, and the start did not either")
}

// describe returns the id of the run of the order's saga.
func (o *office) describe(c client.Client, orderID string) string {
	o.t.Helper()
	described, err := c.DescribeWorkflowExecution(o.t.Context(), workflows.OrderWorkflowID(orderID), "")
	require.NoError(o.t, err)
	return described.GetWorkflowExecutionInfo().GetExecution().GetRunId()
}

// Whoever placed an order may have died before its saga was started, and Temporal may come late.
func TestSweepStartsWhatIsLeft(t *testing.T) {
	t.Parallel()
	o, temporal := newOffice(t), dial(t)
	left := []orders.Order{o.place(), o.place()}
	ctx, stop := context.WithCancel(t.Context())
	swept := make(chan error, 1)
	go func() { swept <- o.starter.Sweep(ctx) }()

	o.elapsed.Store(int64(time.Minute)) // old enough that nobody else is about to start them
	o.starter.Connect(temporal, true)
	require.Eventually(t, func() bool { return o.waiting() == 0 }, 30*time.Second, 10*time.Millisecond)
	for _, order := range left {
		require.NotEmpty(t, o.describe(temporal, order.ID))
	}
	stop()
	require.NoError(t, <-swept)
}

// An order that is still open while its saga is gone would wait for ever, with its stock and its money held.
func TestPatrol(t *testing.T) {
	t.Parallel()

	t.Run("parks an order whose saga was terminated", func(t *testing.T) {
		t.Parallel()
		o, temporal := newOffice(t), dial(t)
		o.starter.Connect(temporal, true)
		order := o.place()
		require.NoError(t, o.starter.Start(t.Context(), order))
		o.elapsed.Store(int64(2 * time.Minute))
		require.NoError(t, o.starter.PatrolOnce(t.Context()))
		require.Equal(t, orders.NoAttention, o.get(order.ID).Attention, "its saga runs")

		require.NoError(t, temporal.TerminateWorkflow(t.Context(), workflows.OrderWorkflowID(order.ID), "", "test"))
		require.NoError(t, o.starter.PatrolOnce(t.Context()))
		require.Equal(t, orders.Parked, o.get(order.ID).Attention)
		require.Equal(t, workers.ReasonSagaClosed, o.get(order.ID).AttentionReason)
		counts, err := o.orders.Attentions(t.Context())
		require.NoError(t, err)
		require.Equal(t, map[orders.Attention]int64{orders.Parked: 1}, counts)
	})

	t.Run("has the saga started anew that Temporal has lost", func(t *testing.T) {
		t.Parallel()
		o, temporal := newOffice(t), dial(t)
		order := o.place()
		require.NoError(t, o.orders.MarkStarted(t.Context(), order.ID))
		o.elapsed.Store(int64(2 * time.Minute))
		require.NoError(t, o.starter.PatrolOnce(t.Context()))
		require.Zero(t, o.waiting(), "without Temporal there is nothing to say")

		o.starter.Connect(temporal, true)
		require.NoError(t, o.starter.PatrolOnce(t.Context()))
		require.Equal(t, 1, o.waiting())
	})
}

func (o *office) get(id string) orders.Order {
	o.t.Helper()
	order, err := o.orders.Get(o.t.Context(), id)
	require.NoError(o.t, err)
	return order
}

// The sweep leaves alone what somebody is just about to start.
func TestSweepLeavesYoungOrdersAlone(t *testing.T) {
	t.Parallel()
	o, temporal := newOffice(t), dial(t)
	o.starter.Connect(temporal, true)
	old := o.place()
	o.elapsed.Store(int64(time.Minute))
	young := o.place()
	require.NoError(t, o.starter.SweepOnce(t.Context()))
	require.NotEmpty(t, o.describe(temporal, old.ID))
	_, err := temporal.DescribeWorkflowExecution(t.Context(), workflows.OrderWorkflowID(young.ID), "")
	require.Error(t, err)
}

func TestSweepLeavesAloneWhatIsOnItsWay(t *testing.T) {
	t.Parallel()
	o, temporal := newOffice(t), dialHeld(t)
	o.starter.Connect(temporal.client, false)
	o.marking()
	require.NoError(t, o.starter.StartSoon(t.Context(), o.place()))
	<-temporal.arrived
	o.elapsed.Store(int64(time.Minute)) // it waits for its turn, in a rush
	require.NoError(t, o.starter.SweepOnce(t.Context()))
	require.Empty(t, temporal.arrived, "it was started a second time")
	temporal.answer(t, nil)
	require.Eventually(t, func() bool { return o.waiting() == 0 }, 10*time.Second, 10*time.Millisecond)
}

// After Temporal did not answer, nobody waits for it again for a moment: an outage must not slow down every order.
func TestStartRestsAfterAnOutage(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = silent.Close() })
	away, err := client.NewLazyClient(client.Options{
		HostPort: silent.Addr().String(), Logger: log.NewStructuredLogger(slog.New(slog.DiscardHandler)),
	})
	require.NoError(t, err)
	t.Cleanup(away.Close)
	o := newOffice(t)
	o.starter.Connect(away, true)
	require.Equal(t, fault.Unavailable, fault.KindOf(o.starter.Start(t.Context(), o.place())))
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // whoever asks Temporal now fails with this context's end
	err = o.starter.Start(ctx, o.place())
	require.Equal(t, fault.Unavailable, fault.KindOf(err))
	require.NotErrorIs(t, err, context.Canceled)
}

// One that answers others is there, and merely busy.
func TestStartDoesNotRestWhileTemporalAnswersOthers(t *testing.T) {
	t.Parallel()
	o, temporal := newOffice(t), dialHeld(t)
	o.starter.Connect(temporal.client, false)
	asked := func() bool { // Temporal, which does not answer
		order, started := o.place(), make(chan error, 1)
		go func() { started <- o.starter.Start(t.Context(), order) }()
		var err error
		reached := false
		select {
		case <-temporal.arrived:
			reached = true
			temporal.answer(t, status.Error(codes.DeadlineExceeded, "not yet"))
			err = <-started
		case err = <-started:
		}
		require.Equal(t, fault.Unavailable, fault.KindOf(err))
		return reached
	}
	answered, order := make(chan error, 1), o.place()
	go func() { answered <- o.starter.Start(t.Context(), order) }()
	<-temporal.arrived
	temporal.answer(t, nil)
	require.NoError(t, <-answered)

	require.True(t, asked())
	require.True(t, asked(), "it rests though another start was answered just now")
	o.elapsed.Store(int64(time.Minute))
	require.True(t, asked())
	require.False(t, asked(), "it does not rest though nothing was answered for a minute")
}

func TestHousekeepingForgetsKeysAndSessions(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var before time.Time
	var sessions int
	h := workers.Housekeeping{
		Keys: func(_ context.Context, until time.Time, _ int) (int64, error) {
			before = until
			return 0, nil
		},
		Sessions: func(context.Context) (int64, error) {
			sessions++
			return 3, nil
		},
		Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler),
	}
	require.NoError(t, h.Tidy(t.Context()))
	require.Equal(t, now.Add(-workers.OrderKeys), before)
	require.Equal(t, 1, sessions)
}
