package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"example.com/orderly/activities"
)

// How long a step or an undo may keep failing before somebody is told. It goes on being retried all the same.
const (
	stepStalls = 2 * time.Minute
	stepParks  = 30 * time.Minute
	undoParks  = 10 * time.Minute
	// flushTimeout is how long the end of an order waits for operators to be told.
	flushTimeout = time.Minute
	// The waits between two attempts of something that failed in a way retrying does not mend by itself. They grow, so that a
	// saga parked for weeks does not outgrow what Temporal keeps of one workflow.
	parkedPause    = time.Minute
	maxParkedPause = time.Hour
)

// startToClose is short because it is also how long it takes to notice that a worker died in an attempt. An attempt that
// outlives it can still land: that is what step records and tombstones are for.
const startToClose = 10 * time.Second

// inlineTimeout bounds the one inline attempt of a step.
const inlineTimeout = 2 * time.Second

// forStep are the options of a forward step: no end to the attempts, because only the business says no.
func forStep(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: startToClose,
		Summary:             summary,
		RetryPolicy: &temporal.RetryPolicy{
			InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: 30 * time.Second,
		},
	})
}

// forInline are the options of the one attempt that a forward step of an inline saga has here, before it is asked for where its
// service runs. It is short because it holds up the workflow task: what is not there at once is better waited for by an activity.
func forInline(ctx workflow.Context, summary string) workflow.Context {
	return activities.Inline(workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{
		// Both, because a local activity without the first takes the second for its whole life.
		ScheduleToCloseTimeout: inlineTimeout,
		StartToCloseTimeout:    inlineTimeout,
		RetryPolicy:            &temporal.RetryPolicy{MaximumAttempts: 1},
		Summary:                summary,
	}))
}

// forUndo are the options of a compensation and of the moves after it. There is no limit in number or time: a hold on
// somebody's money is never abandoned.
func forUndo(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: startToClose,
		Summary:             summary,
		RetryPolicy: &temporal.RetryPolicy{
			InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: time.Minute,
		},
	})
}
