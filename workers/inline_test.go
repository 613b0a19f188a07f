package workers_test

import (
	"context"
	"log/slog"
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
	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/orders"
	"example.com/orderly/workers"
	"example.com/orderly/workflows"
)

func inlineOffice(t *testing.T, temporal client.Client, slotHold time.Duration) *office {
	t.Helper()
	o := newOffice(t)
	o.starter.Connect(temporal, false)
	o.starter.Inline(true)
	o.starter.SetSlotHold(slotHold)
	o.stop = o.run()
	return o
}

func TestAnInlineSagaThatIsNotStartedFreesItsWorker(t *testing.T) {
	t.Parallel()
	temporal := dialHeld(t)
	o := inlineOffice(t, temporal.client, time.Hour)
	for range workers.StartsAtOnce + 1 {
		order, refused := o.place(), make(chan error, 1)
		go func() { refused <- o.starter.Start(t.Context(), order) }()
		temporal.answer(t, status.Error(codes.InvalidArgument, "not today"))
		require.ErrorContains(t, <-refused, "not today")
	}
}

// Time spent inside StartWorkflow does not count: otherwise more would be started just when Temporal is slow.
func TestAnInlineSagaKeepsItsWorkerWhileItIsStarted(t *testing.T) {
	t.Parallel()
	temporal := dialHeld(t)
	o := inlineOffice(t, temporal.client, time.Millisecond)
	var placed []orders.Order // first, since a start that is held is given up after seconds
	for range workers.StartsAtOnce + 1 {
		placed = append(placed, o.place())
	}
	refused := make(chan error, workers.StartsAtOnce)
	for _, order := range placed[1:] {
		go func() { refused <- o.starter.Start(t.Context(), order) }()
	}
	for range workers.StartsAtOnce {
		<-temporal.arrived
	}
	patience, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, o.starter.Start(patience, placed[0]), context.DeadlineExceeded)
	require.Empty(t, temporal.arrived, "more are being started than may be at once")
	for range workers.StartsAtOnce {
		temporal.answer(t, status.Error(codes.InvalidArgument, "not today"))
		require.ErrorContains(t, <-refused, "not today")
	}
}

// An inline saga runs in the process that starts it. In a rush they must not all run at once.
func TestAnInlineSagaKeepsItsWorkerUntilItsEnd(t *testing.T) {
	t.Parallel()
	temporal := dial(t)
	o := inlineOffice(t, temporal, time.Hour)
	for range workers.StartsAtOnce {
		require.NoError(t, o.starter.Start(t.Context(), o.place()))
	}
	patience, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, o.starter.Start(patience, o.place()), context.DeadlineExceeded, "more run than may at once")

	w, err := workers.NewWorker(temporal, activities.InlineQueue, workers.NewStepMetrics(prometheus.NewRegistry()), slog.New(slog.DiscardHandler), nil,
		func(r worker.Registry) {
			r.RegisterWorkflowWithOptions(func(workflow.Context, workflows.OrderInput) error { return nil },
				workflow.RegisterOptions{Name: workflows.OrderWorkflow})
			for _, queue := range activities.Queues() {
				activities.RegisterElsewhere(r, queue)
			}
		}, o.starter.Interceptor())
	require.NoError(t, err)
	require.NoError(t, w.Start())
	t.Cleanup(w.Stop)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for range 2 * workers.StartsAtOnce {
		require.NoError(t, o.starter.Start(ctx, o.place()), "sagas that have ended keep their workers")
	}
}

// One that is blocked, or has fallen back to activities, must not keep others from being started.
func TestAnInlineSagaThatDoesNotEndFreesItsWorker(t *testing.T) {
	t.Parallel()
	o := inlineOffice(t, dial(t), time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for range 2*workers.StartsAtOnce + 1 {
		require.NoError(t, o.starter.Start(ctx, o.place()))
	}
}

// Nor must it keep the process from stopping: what is queued then is left to the sweep.
func TestWhatCannotBeStartedInTimeIsGivenUpAtTheEnd(t *testing.T) {
	t.Parallel()
	o := inlineOffice(t, dial(t), time.Hour)
	for range workers.StartsAtOnce {
		require.NoError(t, o.starter.Start(t.Context(), o.place()))
	}
	left := o.place()
	require.NoError(t, o.starter.Enqueue(t.Context(), left))
	stopped := make(chan struct{})
	go func() { o.stop(); close(stopped) }()
	ctx, cancel := context.WithTimeout(t.Context(), 2*workers.StartTimeout)
	defer cancel()
	require.Equal(t, fault.Unavailable, fault.KindOf(o.starter.Start(ctx, left)), "waiting for it does not end")
	select {
	case <-stopped:
	case <-time.After(2 * workers.StartTimeout):
		t.Fatal("it does not stop while sagas run")
	}
	require.Equal(t, 1, o.waiting())
}

// A start that finds the saga started does not wait for its end: after lost marks, a sweep finds many of them.
func TestAnInlineSagaThatIsFoundStartedFreesItsWorker(t *testing.T) {
	t.Parallel()
	temporal := dial(t)
	first, second := inlineOffice(t, temporal, time.Millisecond), inlineOffice(t, temporal, time.Hour)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for range workers.StartsAtOnce + 1 {
		order := first.place()
		require.NoError(t, first.starter.Start(ctx, order))
		require.NoError(t, second.starter.Start(ctx, order))
	}
}

func TestStartsOfOneSagaAtOnceAreOneStart(t *testing.T) {
	t.Parallel()
	temporal := dialHeld(t)
	o := inlineOffice(t, temporal.client, time.Hour)
	order := o.place()
	require.NoError(t, o.starter.Enqueue(t.Context(), order))
	<-temporal.arrived
	patience, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, o.starter.Start(patience, order), context.DeadlineExceeded)
	require.Empty(t, temporal.arrived, "Temporal was asked twice at once")
	temporal.answer(t, nil)
	require.NoError(t, o.starter.Start(t.Context(), order))
	o.allMarked()
}
