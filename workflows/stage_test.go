package workflows_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	sdk "go.temporal.io/api/sdk/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"example.com/orderly/activities"
	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/inventory"
	"example.com/orderly/internal/orders"
	"example.com/orderly/internal/payments"
	"example.com/orderly/workflows"
)

var input = workflows.OrderInput{
	OrderID: "o-1", CustomerID: "c-1", Lines: []inventory.Quantity{{SKU: "A", Quantity: 3}},
	TotalMinor: 3000, Currency: "EUR", PaymentMethod: "pm_card_visa", Searchable: true,
}

// placements are where forward steps are asked for: where their service runs, or first beside the saga. The outcome is the same.
var placements = map[string]bool{"regular": false, "inline": true}

func inBothPlacements(t *testing.T, test func(t *testing.T, inline bool)) {
	t.Helper()
	for name, inline := range placements {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, inline)
		})
	}
}

// stage runs the saga against activities that answer as the test says, and remembers what was asked, in order. An inline attempt of
// what is going to fail fails like the attempt that follows it, and is remembered apart.
type stage struct {
	env     *testsuite.TestWorkflowEnvironment
	in      workflows.OrderInput
	mu      sync.Mutex
	asked   []string
	inline  []string
	answers map[string][]error
	inputs  map[string]any
	// hangs is a step whose inline attempt does not answer.
	hangs string
	// standing is how the orders service says that the order stands.
	standing activities.Standing
}

// answers maps an activity to what it answers on its first attempts; afterwards, and by default, the answer is yes.
func newStage(t *testing.T, inline bool, answers map[string][]error) *stage {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	s := &stage{
		env: suite.NewTestWorkflowEnvironment(), in: input, answers: map[string][]error{}, inputs: map[string]any{},
		standing: activities.Standing{State: orders.Pending},
	}
	s.in.Inline, s.in.Steps = inline, workflows.AddedSteps() // as a saga that is started today
	for name, list := range answers {
		s.answers[name] = slices.Clone(list)
	}
	s.env.SetTestTimeout(time.Minute)
	s.env.SetWorkerOptions(worker.Options{Interceptors: []interceptor.WorkerInterceptor{&onlyRegistered{names: activities.Names()}}})
	workflows.Register(s.env)
	for _, queue := range activities.Queues() {
		activities.RegisterStandIns(s.env, queue, func(ctx context.Context, name string, in any) (any, error) {
			if name == "orders.look_up" {
				return s.standing, s.answer(ctx, name, nil)
			}
			return nil, s.answer(ctx, name, in)
		})
	}
	return s
}

func (s *stage) answer(ctx context.Context, name string, in any) error {
	if name == s.hangs && activity.GetInfo(ctx).IsLocalActivity {
		<-ctx.Done()
		return ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var said error
	left := s.answers[name]
	if len(left) > 0 {
		said = left[0]
	}
	if activity.GetInfo(ctx).IsLocalActivity {
		s.inline = append(s.inline, name)
		if _, no := activities.Refusal(said); said != nil && !no {
			return said
		}
	}
	s.asked = append(s.asked, name)
	s.inputs[name] = in
	if len(left) > 0 {
		s.answers[name] = left[1:]
	}
	return said
}

func (s *stage) run(t *testing.T) workflows.OrderResult {
	t.Helper()
	s.env.ExecuteWorkflow(workflows.OrderWorkflow, s.in)
	require.True(t, s.env.IsWorkflowCompleted())
	require.NoError(t, s.env.GetWorkflowError())
	var result workflows.OrderResult
	require.NoError(t, s.env.GetWorkflowResult(&result))
	return result
}

func (s *stage) details(t *testing.T) string {
	t.Helper()
	value, err := s.env.QueryWorkflow("__temporal_workflow_metadata")
	require.NoError(t, err)
	var metadata sdk.WorkflowMetadata
	require.NoError(t, value.Get(&metadata))
	return metadata.CurrentDetails
}

// onlyRegistered ends a workflow that asks for an activity which is not registered. The test environment would try it again until the
// test's time is over, since the real one would wait for a worker that has it.
type onlyRegistered struct {
	interceptor.WorkerInterceptorBase
	interceptor.WorkflowInboundInterceptorBase
	interceptor.WorkflowOutboundInterceptorBase
	names []string
}

func (o *onlyRegistered) InterceptWorkflow(_ workflow.Context, next interceptor.WorkflowInboundInterceptor) interceptor.WorkflowInboundInterceptor {
	return &onlyRegistered{WorkflowInboundInterceptorBase: interceptor.WorkflowInboundInterceptorBase{Next: next}, names: o.names}
}

func (o *onlyRegistered) Init(next interceptor.WorkflowOutboundInterceptor) error {
	return o.WorkflowInboundInterceptorBase.Init(&onlyRegistered{
		WorkflowOutboundInterceptorBase: interceptor.WorkflowOutboundInterceptorBase{Next: next}, names: o.names,
	})
}

func (o *onlyRegistered) ExecuteActivity(ctx workflow.Context, name string, args ...any) workflow.Future {
	o.check(name)
	return o.WorkflowOutboundInterceptorBase.ExecuteActivity(ctx, name, args...)
}

func (o *onlyRegistered) ExecuteLocalActivity(ctx workflow.Context, name string, args ...any) workflow.Future {
	o.check(name)
	return o.WorkflowOutboundInterceptorBase.ExecuteLocalActivity(ctx, name, args...)
}

func (o *onlyRegistered) check(name string) {
	if !slices.Contains(o.names, name) {
		panic(fmt.Sprintf("the workflow asks for the activity %s, which is not registered", name))
	}
}

func no(code string) error {
	return temporal.NewApplicationErrorWithOptions(code, code, temporal.ApplicationErrorOptions{
		NonRetryable: true, Details: []any{string(fault.Declined)},
	})
}

func broken(code string) error {
	return temporal.NewApplicationErrorWithOptions(code, code, temporal.ApplicationErrorOptions{
		NonRetryable: true, Details: []any{string(fault.Conflict)},
	})
}

// undone is what an attempt of a step meets that was undone for the reason given, which is empty where the undo recorded none.
func undone(reason string) error {
	details := []any{string(fault.Conflict)}
	if reason != "" {
		details = append(details, reason)
	}
	return temporal.NewApplicationErrorWithOptions("undone", "step_undone", temporal.ApplicationErrorOptions{NonRetryable: true, Details: details})
}

// requireReason requires that every undo that was asked for carries the reason.
func (s *stage) requireReason(t *testing.T, reason string) {
	t.Helper()
	for name, in := range s.inputs {
		switch in := in.(type) {
		case inventory.Release:
			require.Equal(t, reason, in.Reason, name)
		case payments.Undo:
			require.Equal(t, reason, in.Reason, name)
		}
	}
}
