package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"example.com/orderly/activities"
)

// How long a step or an undo may keep failing before it is flagged. It is retried all the same.
const (
	stepStalls = 2 * time.Minute
	stepParks  = 30 * time.Minute
	undoParks  = 10 * time.Minute
	// flushTimeout bounds how long the end of an order waits for its last flag to be written.
	flushTimeout = time.Minute
	// The first and the longest wait between two attempts of a parked step. They double, so that the history of a saga that is parked
	// for weeks stays below Temporal's limit.
	parkedPause    = time.Minute
	maxParkedPause = time.Hour
	// maxMendPause is the longest wait between two attempts of a forward step that only a person can mend. A customer waits for it.
	maxMendPause = 10 * time.Minute
)

// startToClose is short because Temporal takes that long to notice that a worker died in an attempt. An attempt that outlives it can still
// commit: the step's record then answers the next attempt, and after an undo its tombstone refuses the late one.
const startToClose = 10 * time.Second

// inlineTimeout bounds the one inline attempt of a step.
const inlineTimeout = 2 * time.Second

// forStep sets the options of a forward step. Attempts are not limited, because only the business may say no; a failure that needs a person
// comes back to take, which parks the step.
func forStep(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: startToClose,
		Summary:             summary,
		RetryPolicy: &temporal.RetryPolicy{
			InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: 30 * time.Second,
			NonRetryableErrorTypes: activities.OnlyAPerson(),
		},
	})
}

// forInline sets the options of the one inline attempt of a forward step. It is short because it holds up the workflow task, which an
// activity does not.
func forInline(ctx workflow.Context, summary string) workflow.Context {
	return activities.Inline(workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{
		// Both are set because a local activity without the first uses the second for all its attempts.
		ScheduleToCloseTimeout: inlineTimeout,
		StartToCloseTimeout:    inlineTimeout,
		RetryPolicy:            &temporal.RetryPolicy{MaximumAttempts: 1},
		Summary:                summary,
	}))
}

// forUndo sets the options of compensations, and of the other calls that no business answer can end: look-ups, flags and the moves to an
// end. Attempts are not limited, because a hold on a customer's money must not be abandoned.
func forUndo(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: startToClose,
		Summary:             summary,
		RetryPolicy: &temporal.RetryPolicy{
			InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: time.Minute,
			NonRetryableErrorTypes: activities.OnlyAPerson(),
		},
	})
}
