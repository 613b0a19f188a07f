package workers_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"example.com/orderly/activities"
	"example.com/orderly/internal/orders"
	"example.com/orderly/workers"
	"example.com/orderly/workflows"
)

func inlineOffice(t *testing.T, temporal client.Client, longestTurn time.Duration) *office {
	t.Helper()
	o := newOffice(t)
	o.starter.Connect(temporal, false)
	o.starter.Inline(true)
	o.starter.SetLongestTurn(longestTurn)
	return o
}

func TestAnInlineSagaThatIsNotStartedGivesItsTurnBack(t *testing.T) {
	t.Parallel()
	temporal := dialHeld(t)
	o := inlineOffice(t, temporal.client, time.Hour)
	for range workers.TurnsAtOnce + 1 {
		order, refused := o.place(), make(chan error, 1)
		go func() { refused <- o.starter.Start(t.Context(), order) }()
		temporal.answer(t, status.Error(codes.InvalidArgument, "not today"))
		require.ErrorContains(t, <-refused, "not today")
	}
}

// A turn is not over because Temporal takes its time: otherwise more would be started just when it is slow.
func TestAnInlineSagaHasItsTurnWhileItIsStarted(t *testing.T) {
	t.Parallel()
	temporal := dialHeld(t)
	o := inlineOffice(t, temporal.client, time.Millisecond)
	var placed []orders.Order // first, since a start that is held is given up after seconds
	for range workers.TurnsAtOnce + 1 {
		placed = append(placed, o.place())
	}
	refused := make(chan error, workers.TurnsAtOnce)
	for _, order := range placed[1:] {
		go func() { refused <- o.starter.Start(t.Context(), order) }()
	}
	for range workers.TurnsAtOnce {
		<-temporal.arrived
	}
	patience, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, o.starter.Start(patience, placed[0]), context.DeadlineExceeded)
	require.Empty(t, temporal.arrived, "more are being started than can be")
	for range workers.TurnsAtOnce {
		temporal.answer(t, status.Error(codes.InvalidArgument, "not today"))
		require.ErrorContains(t, <-refused, "not today")
	}
}

// An inline saga runs in the process that starts it. In a rush they must not all run at once.
func TestAnInlineSagaHasItsTurnUntilItsEnd(t *testing.T) {
	t.Parallel()
	temporal := dial(t)
	o := inlineOffice(t, temporal, time.Hour)
	for range workers.TurnsAtOnce {
		require.NoError(t, o.starter.Start(t.Context(), o.place()))
	}
	patience, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, o.starter.Start(patience, o.place()), context.DeadlineExceeded, "more run than can at once")

	w, err := workers.NewWorker(temporal, activities.InlineQueue, workers.NewSteps(prometheus.NewRegistry()), slog.New(slog.DiscardHandler), nil,
		func(r worker.Registry) {
			r.RegisterWorkflowWithOptions(func(workflow.Context, workflows.OrderInput) error { return nil },
				workflow.RegisterOptions{Name: workflows.OrderWorkflow})
			for _, queue := range activities.Queues() {
				activities.RegisterElsewhere(r, queue)
			}
		}, o.starter.Ends())
	require.NoError(t, err)
	require.NoError(t, w.Start())
	stop := sync.OnceFunc(w.Stop)
	t.Cleanup(stop)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for range 2 * workers.TurnsAtOnce {
		require.NoError(t, o.starter.Start(ctx, o.place()), "the turns of sagas that have ended were not given back")
	}

	o.starter.SetLongestTurn(time.Millisecond) // as of one that waits for somebody
	stop()
	for range workers.TurnsAtOnce {
		require.NoError(t, o.starter.Start(ctx, o.place()))
	}
	before, cancel := context.WithTimeout(t.Context(), workers.StartTimeout-time.Second)
	defer cancel()
	require.NoError(t, o.starter.Start(before, o.place()), "a turn lasts as if the saga were still being started")
}

func TestStartsOfOneSagaShareATurn(t *testing.T) {
	t.Parallel()
	temporal := dialHeld(t)
	o := inlineOffice(t, temporal.client, time.Hour)
	for range workers.TurnsAtOnce {
		order, refused := o.place(), make(chan error, 2)
		for range cap(refused) {
			go func() { refused <- o.starter.Start(t.Context(), order) }()
			select {
			case <-temporal.arrived:
			case <-time.After(10 * time.Second):
				t.Fatal("turns are lost")
			}
		}
		for range cap(refused) {
			temporal.answer(t, status.Error(codes.InvalidArgument, "not today"))
			require.ErrorContains(t, <-refused, "not today")
		}
	}
}
