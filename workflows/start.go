package workflows

import (
	"fmt"
	"strings"

	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"example.com/orderly/activities"
	"example.com/orderly/internal/orders"
)

// OrderWorkflow is the workflow type that histories name the saga by.
const OrderWorkflow = "Order"

// The search attributes of a saga, all of them ids or codes. They are registered with the namespace before they are used.
var (
	OrderStatus = temporal.NewSearchAttributeKeyKeyword("OrderStatus")
	CustomerID  = temporal.NewSearchAttributeKeyKeyword("CustomerId")
	Parked      = temporal.NewSearchAttributeKeyBool("Parked")
)

// SearchAttributes are the search attributes by name and Temporal's name of their type.
func SearchAttributes() map[string]string {
	return map[string]string{OrderStatus.GetName(): "Keyword", CustomerID.GetName(): "Keyword", Parked.GetName(): "Bool"}
}

const workflowIDPrefix = "order-"

// OrderWorkflowID is the id of an order's saga. It is derived from the order's id, so that Temporal refuses a second saga of the order.
func OrderWorkflowID(orderID string) string { return workflowIDPrefix + orderID }

// OrderIDOf is the order whose saga has this workflow id.
func OrderIDOf(workflowID string) string { return strings.TrimPrefix(workflowID, workflowIDPrefix) }

// StartOptions make starting the saga of an order idempotent by the order's id. There is no time-out on the workflow: it ends
// when the order does.
func (in OrderInput) StartOptions() client.StartWorkflowOptions {
	options := client.StartWorkflowOptions{
		ID:        OrderWorkflowID(in.OrderID),
		TaskQueue: activities.OrdersQueue,
		// The defaults would run a second saga for an order whose first one has ended.
		WorkflowIDReusePolicy:                    enums.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
		WorkflowIDConflictPolicy:                 enums.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		StaticSummary:                            summary(in),
		// If this process also polls the queue, the server's answer carries the first workflow task. Otherwise this has no effect.
		EnableEagerStart: true,
	}
	if in.Inline {
		options.TaskQueue = activities.InlineQueue
	}
	if in.Searchable {
		options.TypedSearchAttributes = temporal.NewSearchAttributes(
			OrderStatus.ValueSet(string(orders.Pending)), CustomerID.ValueSet(in.CustomerID), Parked.ValueSet(false))
	}
	return options
}

func summary(in OrderInput) string {
	lines := "1 line"
	if len(in.Lines) != 1 {
		lines = fmt.Sprintf("%d lines", len(in.Lines))
	}
	return fmt.Sprintf("%s, %s", in.total(), lines)
}
