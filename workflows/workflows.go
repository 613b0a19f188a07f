package workflows

import (
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

// Register makes the sagas known to a worker of a queue that they run on: that of orders, and that of inline sagas.
func Register(r worker.WorkflowRegistry) {
	r.RegisterWorkflowWithOptions(Order, workflow.RegisterOptions{Name: OrderWorkflow})
}
