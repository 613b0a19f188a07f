package temporal

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"
)

// A process that stops asks for no more tasks, and waits for the answers it still has to get: one may be a task.
func TestOpenPollsAreAwaitedBeforeAStop(t *testing.T) {
	t.Parallel()
	p := &polls{life: time.Hour, patience: time.Hour}
	ask := func(request any, answer func() error) (asked bool) {
		require.NoError(t, p.intercept(t.Context(), "", request, nil, nil,
			func(context.Context, string, any, any, *grpc.ClientConn, ...grpc.CallOption) error {
				asked = true
				return answer()
			}))
		return asked
	}
	nothing := func() error { return nil }
	begun, task, answered := make(chan bool), make(chan error), make(chan bool)
	go func() {
		answered <- ask(&workflowservice.PollActivityTaskQueueRequest{}, func() error {
			begun <- true
			return <-task
		})
	}()
	<-begun
	ended := make(chan bool)
	go func() {
		p.end()
		close(ended)
	}()
	require.Eventually(t, func() bool {
		return !ask(&workflowservice.PollWorkflowTaskQueueRequest{}, nothing)
	}, 10*time.Second, time.Millisecond, "new polls are begun")
	require.True(t, ask(&workflowservice.RespondActivityTaskCompletedRequest{}, nothing), "what a task needs goes on")
	select {
	case <-ended:
		require.Fail(t, "an open poll was not waited for")
	default:
	}
	task <- nil
	require.True(t, <-answered)
	<-ended
}
