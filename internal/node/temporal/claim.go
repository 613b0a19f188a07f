package temporal

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"

	"example.com/orderly/internal/node/lifecycle"
	"example.com/orderly/internal/system"
)

const (
	// claimID is the id, the type and the task queue of the workflow that says which system a namespace serves. Nothing polls that task queue, so
	// that the workflow stays open and does nothing. The server keeps one open workflow of an id, which makes a start the claim.
	claimID = "orderly-system"
	// claimMemo is the key of the system's id in the workflow's memo.
	claimMemo = "system"
)

// Claim is which system a namespace serves.
type Claim struct {
	// System is empty where the namespace is free, or taken by a workflow that does not say by whom.
	System system.ID
	// Open is false of a claim whose workflow was ended, which holds for as long as the namespace keeps it.
	Open  bool
	runID string
}

// Free reports that no system has claimed the namespace.
func (c Claim) Free() bool { return c.runID == "" }

// Serves reads which system the namespace serves. It is one call, and any right to read the namespace is enough.
func Serves(ctx context.Context, c client.Client) (Claim, error) {
	described, err := c.DescribeWorkflowExecution(ctx, claimID, "")
	if errors.As(err, new(*serviceerror.NotFound)) {
		return Claim{}, nil
	}
	if err != nil {
		return Claim{}, err
	}
	info := described.GetWorkflowExecutionInfo()
	claim := Claim{Open: info.GetStatus() == enums.WORKFLOW_EXECUTION_STATUS_RUNNING, runID: info.GetExecution().GetRunId()}
	if said := info.GetMemo().GetFields()[claimMemo]; said != nil {
		if err := converter.GetDefaultDataConverter().FromPayload(said, &claim.System); err != nil {
			return Claim{}, fmt.Errorf("read the memo of workflow %s: %w", claimID, err)
		}
	}
	return claim, nil
}

// ClaimNamespace claims the namespace for the system where no other has, and refuses one that serves another. Of two systems that claim it at
// once one wins. It waits for a server that does not answer.
func ClaimNamespace(ctx context.Context, c client.Client, options client.Options, ours system.ID, say func(string)) error {
	err := lifecycle.WaitFor(ctx, say, "Temporal's namespace at "+options.HostPort+" (TEMPORAL_ADDRESS)", func(ctx context.Context) error {
		err := claim(ctx, c, options, ours)
		if passes(err) {
			return away(err)
		}
		return err
	})
	return cmp.Or(refusal(err, options), err)
}

func claim(ctx context.Context, c client.Client, options client.Options, ours system.ID) error {
	found, err := Serves(ctx, c)
	if err != nil {
		return err
	}
	if found.Free() || !found.Open && found.System == ours {
		if err = startClaim(ctx, c, ours, found); !errors.As(err, new(*serviceerror.WorkflowExecutionAlreadyStarted)) {
			return err
		}
		if found, err = Serves(ctx, c); err != nil { // another process was first
			return err
		}
	}
	if found.System == ours {
		return nil
	}
	return &system.OtherError{
		Place: "TEMPORAL_NAMESPACE: Temporal's namespace " + options.Namespace + " at " + options.HostPort, Bears: found.System, Ours: ours,
		Remedy: "name another namespace",
	}
}

// startClaim starts the workflow that bears the id, unless one has been started since before was read. A claim that was ended is made anew only by the
// system that had it, or by one that adopts.
func startClaim(ctx context.Context, c client.Client, ours system.ID, before Claim) error {
	reuse := enums.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE
	if !before.Free() {
		reuse = enums.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE
	}
	_, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: claimID, TaskQueue: claimID, WorkflowIDReusePolicy: reuse, WorkflowIDConflictPolicy: enums.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
		WorkflowExecutionErrorWhenAlreadyStarted: true, Memo: map[string]any{claimMemo: string(ours)},
		StaticSummary: "This namespace serves Orderly's system " + string(ours) + ". Leave this workflow open.",
	}, claimID)
	return err
}
