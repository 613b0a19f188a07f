// Package yardstick is what we are compared with: the libraries we stand on, used alone and as one would for speed. It knows
// nothing of orders.
package yardstick

import (
	"context"
	"fmt"
	"sync"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"golang.org/x/sync/errgroup"
)

const emptyName = "Empty"

// lastOnes is how many of those that returned last are asked for their end: about as many as a worker completes at once.
const lastOnes = 16

// Empty is a workflow that does nothing: the least that Temporal can be asked for. Register it with a worker of the same client
// that polls Queue; only then can a start be eager.
type Empty struct {
	client client.Client
	queue  string

	lock     sync.Mutex
	returned []string
	seen     map[string]bool
	wanted   int
	all      chan struct{}
}

// NewEmpty returns the empty workflow on a task queue of its own.
func NewEmpty(c client.Client, queue string) *Empty { return &Empty{client: c, queue: queue} }

// Register makes the workflow known to a worker.
func (e *Empty) Register(r worker.WorkflowRegistry) {
	r.RegisterWorkflowWithOptions(e.run, workflow.RegisterOptions{Name: emptyName})
}

func (e *Empty) run(ctx workflow.Context) error {
	if !workflow.IsReplaying(ctx) {
		e.count(workflow.GetInfo(ctx).WorkflowExecution.ID)
	}
	return nil
}

// count tells workflows apart, for a task that timed out runs again.
func (e *Empty) count(id string) {
	e.lock.Lock()
	defer e.lock.Unlock()
	if e.seen == nil || e.seen[id] {
		return
	}
	e.seen[id] = true
	e.returned = append(e.returned, id)
	if len(e.returned) == e.wanted {
		close(e.all)
	}
}

// Expect begins a count of n workflows, all of which are started after it.
func (e *Empty) Expect(n int) {
	e.lock.Lock()
	defer e.lock.Unlock()
	e.returned, e.seen, e.wanted, e.all = nil, map[string]bool{}, n, make(chan struct{})
}

// Start starts one; eagerly, its first task comes with the answer.
func (e *Empty) Start(ctx context.Context, id string, eager bool) (client.WorkflowRun, error) {
	run, err := e.client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{ID: id, TaskQueue: e.queue, EnableEagerStart: eager}, emptyName)
	if err != nil {
		return nil, fmt.Errorf("start the empty workflow %s: %w", id, err)
	}
	return run, nil
}

// Await returns when all that were expected have ended.
func (e *Empty) Await(ctx context.Context) error {
	e.lock.Lock()
	all := e.all
	e.lock.Unlock()
	select {
	case <-all:
	case <-ctx.Done():
		e.lock.Lock()
		defer e.lock.Unlock()
		return fmt.Errorf("%d of %d empty workflows have ended: %w", len(e.returned), e.wanted, context.Cause(ctx))
	}
	// They have returned; that the server knows is asked of the last ones only, so that asking does not become the work.
	e.lock.Lock()
	last := e.returned[max(0, len(e.returned)-lastOnes):]
	e.lock.Unlock()
	group, ctx := errgroup.WithContext(ctx)
	for _, id := range last {
		group.Go(func() error { return e.client.GetWorkflow(ctx, id, "").Get(ctx, nil) })
	}
	return group.Wait()
}
