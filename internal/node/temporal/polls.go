package temporal

import (
	"context"
	"sync"
	"time"

	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/grpc"
)

const (
	// pollLife is how long a poll is left open, where a process that stops has to wait until its polls return: the server ends one without a
	// task a second before. It warns of less than ten seconds. It also bounds how long a task waits that a development server which has just been
	// started on a backlog holds back from the polls that are open: 53 s were seen.
	pollLife = 12 * time.Second
	// pollPatience is how long a stop waits for polls that may be open longer. With work to do they return at once, and without any there is
	// hardly a task to lose.
	pollPatience = time.Second
	// handOver is the time in which a worker takes over the task of a poll that has returned.
	handOver = 50 * time.Millisecond
)

// polls are the questions for tasks that a process has open at Temporal. A worker that stops cancels its own, and drops what is on its way:
// a server that does not end polls itself when a worker says that it stops takes such a task for started, and gives it to another worker
// only after its time-out. So no new ones are begun, and those that are open are waited for, before workers are stopped.
type polls struct {
	// Set before the first poll; zero where the server ends the polls of a worker that stops.
	life, patience time.Duration

	lock  sync.Mutex
	open  int
	ended bool
	none  chan struct{} // closed when the last one returns after ended
}

// setUp decides from what the server can do; patient is a process for which no person waits.
func (p *polls) setUp(ctx context.Context, c client.Client, namespace string, patient bool) {
	described, err := c.WorkflowService().DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: namespace})
	switch {
	case err == nil && described.GetNamespaceInfo().GetCapabilities().GetWorkerPollCompleteOnShutdown():
	case patient:
		p.life, p.patience = pollLife, pollLife
	default:
		p.life, p.patience = pollLife, pollPatience
	}
}

// intercept counts a poll while it is open. Once polls have ended it answers that there is no task.
func (p *polls) intercept(
	ctx context.Context, method string, request, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption,
) error {
	switch request.(type) {
	case *workflowservice.PollWorkflowTaskQueueRequest, *workflowservice.PollActivityTaskQueueRequest:
	default:
		return invoke(ctx, method, request, reply, conn, options...)
	}
	if p.patience == 0 {
		return invoke(ctx, method, request, reply, conn, options...)
	}
	if !p.begin() {
		select {
		case <-time.After(handOver): // the worker asks again until it is stopped
		case <-ctx.Done():
		}
		return ctx.Err()
	}
	defer p.finish()
	if p.life > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, p.life)
		defer cancel()
	}
	return invoke(ctx, method, request, reply, conn, options...)
}

func (p *polls) begin() bool {
	p.lock.Lock()
	defer p.lock.Unlock()
	if !p.ended {
		p.open++
	}
	return !p.ended
}

func (p *polls) finish() {
	p.lock.Lock()
	defer p.lock.Unlock()
	p.open--
	if p.ended && p.open == 0 {
		close(p.none)
	}
}

// end lets no new poll begin, and waits for those that are open, at most for patience. It may be called once.
func (p *polls) end() {
	if p.patience == 0 {
		return
	}
	p.lock.Lock()
	p.ended, p.none = true, make(chan struct{})
	if p.open == 0 {
		close(p.none)
	}
	p.lock.Unlock()
	select {
	case <-p.none:
	case <-time.After(p.patience):
	}
	time.Sleep(handOver)
}
