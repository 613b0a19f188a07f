package workers

import (
	"context"
	"runtime"
	"sync"
	"time"

	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/workflow"
)

// longestTurn is when an inline saga that was started does not count any more: it waits for somebody, or has gone on with regular
// activities.
const longestTurn = time.Second

// turnsAtOnce is how many sagas a process starts at a time. An inline saga has its turn until its end: if all that are placed in a
// rush ran at once, each would take so long that steps and starts exceed their time, and all would be tried again; and whoever places
// an order would wait for the processor behind them. Eight for each processor keep it busy; 64 are enough to ask of one Temporal.
func turnsAtOnce() int { return min(8*runtime.GOMAXPROCS(0), 64) }

// turns are the sagas that are being started or run inline.
type turns struct {
	free    chan struct{} // holds one element for each turn that is taken
	longest time.Duration
	lock    sync.Mutex
	ends    map[string]*time.Timer // of those that last until the saga's end, by workflow id
}

func newTurns() *turns {
	return &turns{free: make(chan struct{}, turnsAtOnce()), longest: longestTurn, ends: map[string]*time.Timer{}}
}

// take waits for a turn; an error is that of ctx.
func (t *turns) take(ctx context.Context) error {
	select {
	case t.free <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (t *turns) giveBack() { <-t.free }

// untilItEnds has the turn end with the workflow. It comes before the start, which an inline saga can overtake.
func (t *turns) untilItEnds(workflowID string) {
	t.lock.Lock()
	defer t.lock.Unlock()
	if t.ends[workflowID] != nil { // somebody else is just starting it, too
		t.giveBack()
		return
	}
	t.ends[workflowID] = time.AfterFunc(startTimeout+t.longest, func() { t.end(workflowID) })
}

// started has the longest turn count from now: a start that Temporal takes its time over is not the saga's.
func (t *turns) started(workflowID string) {
	t.lock.Lock()
	defer t.lock.Unlock()
	if timer := t.ends[workflowID]; timer != nil {
		timer.Reset(t.longest)
	}
}

// end ends the workflow's turn, if it has one.
func (t *turns) end(workflowID string) {
	t.lock.Lock()
	defer t.lock.Unlock()
	if timer := t.ends[workflowID]; timer != nil {
		timer.Stop()
		delete(t.ends, workflowID)
		t.giveBack()
	}
}

// Ends is for the worker of the inline sagas: it tells the starter that one has ended.
func (s *Starter) Ends() interceptor.WorkerInterceptor { return &endings{turns: s.turns} }

type endings struct {
	interceptor.WorkerInterceptorBase
	turns *turns
}

// InterceptWorkflow implements interceptor.WorkerInterceptor.
func (e *endings) InterceptWorkflow(
	_ workflow.Context, next interceptor.WorkflowInboundInterceptor,
) interceptor.WorkflowInboundInterceptor {
	return &ending{interceptor.WorkflowInboundInterceptorBase{Next: next}, e.turns}
}

type ending struct {
	interceptor.WorkflowInboundInterceptorBase
	turns *turns
}

// ExecuteWorkflow implements interceptor.WorkflowInboundInterceptor. What it does beside the workflow leaves no trace in the history,
// and does nothing when the workflow is replayed: its turn is long over.
func (e *ending) ExecuteWorkflow(ctx workflow.Context, in *interceptor.ExecuteWorkflowInput) (any, error) {
	result, err := e.Next.ExecuteWorkflow(ctx, in)
	e.turns.end(workflow.GetInfo(ctx).WorkflowExecution.ID)
	return result, err
}
