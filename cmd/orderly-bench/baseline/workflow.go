// Package baseline is what Orderly is compared with: the libraries we stand on, used alone and as one would for speed. It knows
// nothing of orders.
package baseline

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"golang.org/x/sync/errgroup"
)

const (
	emptyName   = "Empty"
	nothingName = "nothing"
)

// Steps is what the workflow asks for before it ends: as many steps as a saga has, of the same kind, none of which does anything.
type Steps string

const (
	NoSteps         Steps = "none"
	Activities      Steps = "activities"
	LocalActivities Steps = "local activities"
	stepsAsked            = 5
	stepPatience          = 10 * time.Second
)

// askedLast is how many of the workflows that returned last are awaited: about as many as a worker completes at once.
const askedLast = 16

// Empty is a workflow that does nothing, or asks for steps that do nothing: the least that Temporal can be asked for. Register it with
// workers of the same client; only then can a start be eager.
type Empty struct {
	client client.Client
	queue  string // of the workflow; activities have one of their own, like those of a saga

	lock     sync.Mutex
	returned []string
	seen     map[string]bool
	wanted   int
	all      chan struct{}
}

// NewEmpty returns the empty workflow on a task queue of its own.
func NewEmpty(c client.Client, queue string) *Empty { return &Empty{client: c, queue: queue} }

// Workers are the task queues of the workflow, each with what its worker must know.
func (e *Empty) Workers() map[string]func(r worker.Registry) {
	nothing := func(r worker.Registry) {
		r.RegisterActivityWithOptions(func(context.Context) error { return nil }, activity.RegisterOptions{Name: nothingName})
	}
	return map[string]func(r worker.Registry){
		e.queue: func(r worker.Registry) {
			r.RegisterWorkflowWithOptions(e.run, workflow.RegisterOptions{Name: emptyName})
			nothing(r)
		},
		e.stepsQueue(): nothing,
	}
}

func (e *Empty) stepsQueue() string { return e.queue + "-steps" }

func (e *Empty) run(ctx workflow.Context, steps Steps) error {
	for range stepsAsked {
		var err error
		switch steps {
		case Activities:
			err = workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
				TaskQueue: e.stepsQueue(), StartToCloseTimeout: stepPatience,
			}), nothingName).Get(ctx, nil)
		case LocalActivities:
			err = workflow.ExecuteLocalActivity(workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{
				ScheduleToCloseTimeout: stepPatience,
			}), nothingName).Get(ctx, nil)
		case NoSteps:
		}
		if err != nil {
			return err
		}
	}
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
func (e *Empty) Start(ctx context.Context, id string, eager bool, steps Steps) (client.WorkflowRun, error) {
	run, err := e.client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{ID: id, TaskQueue: e.queue, EnableEagerStart: eager}, emptyName, steps)
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
	last := e.returned[max(0, len(e.returned)-askedLast):]
	e.lock.Unlock()
	group, ctx := errgroup.WithContext(ctx)
	for _, id := range last {
		group.Go(func() error { return e.client.GetWorkflow(ctx, id, "").Get(ctx, nil) })
	}
	return group.Wait()
}
