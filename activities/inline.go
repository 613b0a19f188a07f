package activities

import (
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// inline is the key under which a context says that calls are local activities.
type inline struct{}

// Inline makes steps called with ctx run in the process that runs the workflow, as local activities with the options ctx carries.
func Inline(ctx workflow.Context) workflow.Context { return workflow.WithValue(ctx, inline{}, true) }

// Decided reports whether an inline attempt settles its step: with a yes, with a no, or because the workflow was cancelled. Anything
// else may have been done all the same; the step's key makes asking again safe.
func Decided(err error) bool {
	if err == nil || temporal.IsCanceledError(err) {
		return true
	}
	_, no := Refusal(err)
	return no
}
