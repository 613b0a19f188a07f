package workers_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/orders"
	"example.com/orderly/workers"
	"example.com/orderly/workflows"
)

// held passes calls on to a client's Temporal, but holds those that start a workflow until they are let go.
type held struct {
	client  client.Client
	arrived chan struct{}
	letGo   chan error // nil passes one on
}

func dialHeld(t *testing.T) *held {
	t.Helper()
	h := &held{arrived: make(chan struct{}, 1000), letGo: make(chan error)}
	through := func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		if strings.HasSuffix(method, "/StartWorkflowExecution") {
			h.arrived <- struct{}{}
			select {
			case err := <-h.letGo:
				if err != nil {
					return err
				}
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return invoke(ctx, method, req, reply, cc, opts...)
	}
	h.client = dial(t, grpc.WithChainUnaryInterceptor(through))
	return h
}

// answer lets one call go, or answers it with the error.
func (h *held) answer(t *testing.T, err error) {
	t.Helper()
	select {
	case h.letGo <- err:
	case <-time.After(10 * time.Second):
		t.Fatal("no call is waiting for its answer")
	}
}

func TestEnqueue(t *testing.T) {
	t.Parallel()

	t.Run("does not wait for Temporal, and awaiting the end waits for the start first", func(t *testing.T) {
		t.Parallel()
		o, temporal := newOffice(t), dialHeld(t)
		o.starter.Connect(temporal.client, true)
		o.run()
		order := o.place()
		require.NoError(t, o.starter.Enqueue(t.Context(), order))
		<-temporal.arrived

		patience, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		require.ErrorContains(t, o.starter.Await(patience, order.ID), "deadline exceeded", "Temporal was asked for a saga that it has yet to be told of")
		temporal.answer(t, nil)
		o.allMarked()
		require.NotEmpty(t, o.describe(temporal.client, order.ID))
		require.NoError(t, temporal.client.TerminateWorkflow(t.Context(), workflows.OrderWorkflowID(order.ID), "", "test"))
		require.ErrorContains(t, o.starter.Await(t.Context(), order.ID), "terminated")
	})

	t.Run("starts the saga though the client has left", func(t *testing.T) {
		t.Parallel()
		o, temporal := newOffice(t), dialHeld(t)
		o.starter.Connect(temporal.client, true)
		o.run()
		ctx, leave := context.WithCancel(t.Context())
		require.NoError(t, o.starter.Enqueue(ctx, o.place()))
		<-temporal.arrived
		leave()
		temporal.answer(t, nil)
		o.allMarked()
	})

	t.Run("leaves one that does not start to the sweep", func(t *testing.T) {
		t.Parallel()
		o, temporal := newOffice(t), dialHeld(t)
		o.starter.Connect(temporal.client, true)
		stop := o.run()
		require.NoError(t, o.starter.Enqueue(t.Context(), o.place()))
		<-temporal.arrived
		temporal.answer(t, status.Error(codes.InvalidArgument, "not today"))
		stop()
		require.Equal(t, 1, o.waiting())
	})

	t.Run("waits for room when too many are queued, and leaves to the sweep what comes after the end", func(t *testing.T) {
		t.Parallel()
		o, temporal := newOffice(t), dialHeld(t)
		o.starter.Connect(temporal.client, true)
		stop := o.run()
		var placed []orders.Order // first, since a start that is held is given up after seconds
		for range workers.MaxAhead + 2 {
			placed = append(placed, o.place())
		}
		for _, order := range placed[2:] {
			require.NoError(t, o.starter.Enqueue(t.Context(), order))
		}
		for range workers.StartsAtOnce {
			<-temporal.arrived
		}
		patience, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		require.ErrorIs(t, o.starter.Enqueue(patience, placed[0]), context.DeadlineExceeded, "it did not wait")
		require.Empty(t, temporal.arrived, "more are being started than may be at once")

		refused, accepted := status.Error(codes.InvalidArgument, "refused"), make(chan error, 1)
		soon, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		go func() { accepted <- o.starter.Enqueue(soon, placed[1]) }()
		temporal.answer(t, refused)
		require.NoError(t, <-accepted) // while all others are on their way still

		stopped := make(chan struct{})
		go func() { stop(); close(stopped) }()
		const pass = 8
		for n := range workers.MaxAhead {
			answer := refused
			if n < pass {
				answer = nil
			}
			select {
			case <-stopped:
				t.Fatal("it stopped while sagas were on their way")
			case temporal.letGo <- answer:
			}
		}
		<-stopped
		require.Equal(t, len(placed)-pass, o.waiting())
		require.Equal(t, fault.Unavailable, fault.KindOf(o.starter.Enqueue(t.Context(), o.place())))
	})
}
