package temporal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"example.com/orderly/internal/system"
	"example.com/orderly/workflows"
)

// polledLately is how long after its last call a poller counts as being there: longer than such a call waits.
const polledLately = 90 * time.Second

// With connects as cfg says, calls do, and closes the connection; a development server runs meanwhile.
func With(ctx context.Context, cfg Config, do func(ctx context.Context, c client.Client, options client.Options) error) error {
	connection := New(cfg)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- connection.Run(ctx) }()
	select {
	case <-connection.connected:
		err := do(ctx, connection.client, connection.options)
		stop()
		return errors.Join(connection.Explain(err), <-ended)
	case err := <-ended:
		if err == nil {
			err = context.Cause(ctx)
		}
		return err
	}
}

// Adopt makes the namespace serve ours in place of giveUp. The error is a system.OtherError where it serves neither.
func Adopt(ctx context.Context, c client.Client, options client.Options, ours, giveUp system.ID) error {
	found, err := Serves(ctx, c)
	if err != nil {
		return err
	}
	if !found.Free() && found.System == giveUp {
		if found.Open { // this run of it, so that of two who adopt at once one is refused
			if err := c.TerminateWorkflow(ctx, claimID, found.runID, "adopted by system "+string(ours)); err != nil {
				return fmt.Errorf("end the claim of system %s: %w", giveUp, err)
			}
		}
		if err = startClaim(ctx, c, ours, found); err != nil && !errors.As(err, new(*serviceerror.WorkflowExecutionAlreadyStarted)) {
			return err
		}
	}
	return claim(ctx, c, options, ours)
}

// PolledBy returns a process that polls one of the task queues, or has done so lately; empty where there is none.
func PolledBy(ctx context.Context, c client.Client, queues []string) (identity string, err error) {
	for _, queue := range queues {
		for _, kind := range []enums.TaskQueueType{enums.TASK_QUEUE_TYPE_WORKFLOW, enums.TASK_QUEUE_TYPE_ACTIVITY} {
			described, err := c.DescribeTaskQueue(ctx, queue, kind)
			if err != nil {
				return "", fmt.Errorf("ask who polls Temporal's task queue %s: %w", queue, err)
			}
			for _, poller := range described.GetPollers() {
				if seen := time.Since(poller.GetLastAccessTime().AsTime()); seen < polledLately {
					return fmt.Sprintf("%s polled the task queue %s %s ago", poller.GetIdentity(), queue, max(seen, 0).Round(time.Second)), nil
				}
			}
		}
	}
	return "", nil
}

// OpenSagas calls do with the ids of the orders of all open sagas, some at a time.
func OpenSagas(ctx context.Context, c client.Client, namespace string, do func(orders []string) error) error {
	request := &workflowservice.ListWorkflowExecutionsRequest{
		Namespace: namespace, PageSize: 1000, Query: "WorkflowType = '" + workflows.OrderWorkflow + "' AND ExecutionStatus = 'Running'",
	}
	for {
		page, err := c.ListWorkflow(ctx, request)
		if err != nil {
			return fmt.Errorf("list the open sagas: %w", err)
		}
		var orders []string
		for _, found := range page.GetExecutions() {
			orders = append(orders, workflows.OrderIDOf(found.GetExecution().GetWorkflowId()))
		}
		if len(orders) > 0 {
			if err := do(slices.Compact(orders)); err != nil {
				return err
			}
		}
		if request.NextPageToken = page.GetNextPageToken(); len(request.NextPageToken) == 0 {
			return nil
		}
	}
}

// EndSaga terminates the saga of an order that is not ours. One that has ended is no error.
func EndSaga(ctx context.Context, c client.Client, order string) error {
	err := c.TerminateWorkflow(ctx, workflows.OrderWorkflowID(order), "", "its order is not in the databases of the system that adopts the namespace")
	if errors.As(err, new(*serviceerror.NotFound)) {
		return nil
	}
	return err
}
