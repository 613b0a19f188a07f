package workers

import (
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/workflow"

	"example.com/orderly/workflows"
)

// Interceptor is for the worker of the inline sagas: it tells the starter which sagas have ended.
func (s *Starter) Interceptor() interceptor.WorkerInterceptor { return &sagaEndInterceptor{starter: s} }

type sagaEndInterceptor struct {
	interceptor.WorkerInterceptorBase
	starter *Starter
}

// InterceptWorkflow implements interceptor.WorkerInterceptor.
func (e *sagaEndInterceptor) InterceptWorkflow(
	_ workflow.Context, next interceptor.WorkflowInboundInterceptor,
) interceptor.WorkflowInboundInterceptor {
	return &sagaEndInbound{interceptor.WorkflowInboundInterceptorBase{Next: next}, e.starter}
}

type sagaEndInbound struct {
	interceptor.WorkflowInboundInterceptorBase
	starter *Starter
}

// ExecuteWorkflow implements interceptor.WorkflowInboundInterceptor. What it does after the workflow is not in the history. A replay does
// not repeat it, because the start is no longer in flight then.
func (e *sagaEndInbound) ExecuteWorkflow(ctx workflow.Context, in *interceptor.ExecuteWorkflowInput) (any, error) {
	result, err := e.Next.ExecuteWorkflow(ctx, in)
	if st := e.starter.find(workflows.OrderIDOf(workflow.GetInfo(ctx).WorkflowExecution.ID)); st != nil {
		select {
		case st.sagaEnded <- struct{}{}:
		default:
		}
	}
	return result, err
}
