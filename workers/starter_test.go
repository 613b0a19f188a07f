package workers_test

import (
	"context"
	"log/slog"
	"net"
	"sync"
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

// office is the orders service, a starter that has no Temporal and does not run yet, and a clock.
type office struct {
	t       *testing.T
	orders  *orders.Service
	starter *workers.Starter
	stop    func() // of those that run from the beginning
	elapsed atomic.Int64
}

func (o *office) now() time.Time { return time.Now().Add(time.Duration(o.elapsed.Load())) }

func newOffice(t *testing.T) *office {
	t.Helper()
	o := &office{t: t}
	o.orders = orders.New(outbox.New(testenv.SQLite(t, "orders", orders.Migrations()...), "orders", o.now), nil)
	require.NoError(t, o.orders.AddProducts(t.Context(), []orders.Product{{SKU: "tea", Name: "Tea", PriceMinor: 1000, Currency: "EUR"}}))
	o.starter = workers.NewStarter(o.orders, slog.New(slog.DiscardHandler), o.now)
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

// run runs the starter until the returned function is called.
func (o *office) run() (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(o.t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- o.starter.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			require.NoError(o.t, err)
		case <-time.After(6 * workers.StartTimeout):
			o.t.Error("the starter does not stop")
		}
	})
	o.t.Cleanup(stop)
	return stop
}

func (o *office) sweeper() *workers.Sweeper {
	return &workers.Sweeper{Starter: o.starter, Orders: o.orders, Log: slog.New(slog.DiscardHandler)}
}

func (o *office) reconciler() *workers.Reconciler {
	return &workers.Reconciler{Starter: o.starter, Orders: o.orders, Log: slog.New(slog.DiscardHandler)}
}

// allMarked waits until every order that was placed is marked as started.
func (o *office) allMarked() {
	o.t.Helper()
	require.Eventually(o.t, func() bool { return o.waiting() == 0 }, 10*time.Second, 10*time.Millisecond)
}

// waiting is how many orders are not marked as started.
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
		o.run()
		order := o.place()
		require.NoError(t, o.starter.Start(t.Context(), order))
		first := o.describe(temporal, order.ID)
		require.NoError(t, o.starter.Start(t.Context(), order))
		require.Equal(t, first, o.describe(temporal, order.ID))
		o.allMarked()

		require.NoError(t, temporal.TerminateWorkflow(t.Context(), workflows.OrderWorkflowID(order.ID), "", "test"))
		require.NoError(t, o.starter.Start(t.Context(), order))
		require.Equal(t, first, o.describe(temporal, order.ID), "a second saga was started for an order whose first one has closed")
	})

	t.Run("is unavailable without Temporal, and the order waits", func(t *testing.T) {
		t.Parallel()
		o := newOffice(t)
		o.run()
		require.Equal(t, fault.Unavailable, fault.KindOf(o.starter.Start(t.Context(), o.place())))
		require.Equal(t, fault.Unavailable, fault.KindOf(o.starter.Enqueue(t.Context(), o.place())))
		require.Equal(t, 2, o.waiting())
	})

	t.Run("runs without search attributes where the namespace has none", func(t *testing.T) {
		t.Parallel()
		temporal := dial(t)
		o := newOffice(t)
		o.starter.Connect(temporal, false)
		o.run()
		require.NoError(t, o.starter.Start(t.Context(), o.place()))
	})
}

// No order waits until its start is marked, and no mark is lost when the starter is told to stop.
func TestMarksAreWrittenInBatches(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.starter.Connect(dial(t), true)
	stop := o.run()
	for range 20 {
		require.NoError(t, o.starter.Start(t.Context(), o.place()))
	}
	o.allMarked()
	for range 20 {
		require.NoError(t, o.starter.Start(t.Context(), o.place()))
	}
	stop()
	require.Zero(t, o.waiting())
	require.Equal(t, fault.Unavailable, fault.KindOf(o.starter.Start(t.Context(), o.place())))
	require.Equal(t, 1, o.waiting(), "a start after the end was marked")
}

// describe returns the id of the run of the order's saga.
func (o *office) describe(c client.Client, orderID string) string {
	o.t.Helper()
	described, err := c.DescribeWorkflowExecution(o.t.Context(), workflows.OrderWorkflowID(orderID), "")
	require.NoError(o.t, err)
	return described.GetWorkflowExecutionInfo().GetExecution().GetRunId()
}

// After Temporal did not answer, it is not asked again for a moment: an outage must not slow down every order.
func TestTheBreakerOpensAfterAnOutage(t *testing.T) {
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
	o.run()
	require.Equal(t, fault.Unavailable, fault.KindOf(o.starter.Start(t.Context(), o.place())))
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // a start that waits for Temporal now fails with this context's end
	err = o.starter.Start(ctx, o.place())
	require.Equal(t, fault.Unavailable, fault.KindOf(err))
	require.NotErrorIs(t, err, context.Canceled)
	require.Equal(t, fault.Unavailable, fault.KindOf(o.starter.Enqueue(t.Context(), o.place())))
}

// A server that refuses us refuses every order, and says so once in a while instead of at each of them.
func TestTheBreakerOpensWhereAPersonIsNeeded(t *testing.T) {
	t.Parallel()
	for _, code := range []codes.Code{codes.PermissionDenied, codes.Unauthenticated, codes.Unimplemented} {
		o, temporal := newOffice(t), dialHeld(t)
		o.starter.Connect(temporal.client, false)
		o.run()
		order, started := o.place(), make(chan error, 1)
		go func() { started <- o.starter.Start(t.Context(), order) }()
		<-temporal.arrived
		temporal.answer(t, status.Error(code, "no"))
		err := <-started
		require.Equal(t, fault.Unavailable, fault.KindOf(err), "%s", code)
		require.ErrorContains(t, err, "TEMPORAL_", "%s: what to do", code)
		require.Equal(t, fault.Unavailable, fault.KindOf(o.starter.Enqueue(t.Context(), o.place())), "%s", code)
	}
}

// A Temporal that answers other starts is up, only busy.
func TestTheBreakerStaysClosedWhileTemporalAnswersOthers(t *testing.T) {
	t.Parallel()
	o, temporal := newOffice(t), dialHeld(t)
	o.starter.Connect(temporal.client, false)
	o.run()
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
	require.True(t, asked(), "the breaker opens though another start was answered just now")
	o.elapsed.Store(int64(time.Minute))
	require.True(t, asked())
	require.False(t, asked(), "the breaker stays closed though nothing was answered for a minute")
}
