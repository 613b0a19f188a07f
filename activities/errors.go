// Package activities is the border between Temporal and the services: each activity, the typed function that a workflow calls it by, the
// contract of their payloads, and the one table that says which failures are retried. It decides nothing else.
package activities

import (
	"errors"
	"slices"
	"time"

	"go.temporal.io/sdk/temporal"

	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/payments"
	"example.com/orderly/internal/step"
)

// retryable is the table: whether Temporal tries each kind of failure again.
var retryable = map[fault.Kind]bool{
	fault.Declined:        false, // a business no is a result
	fault.Invalid:         false,
	fault.NotFound:        false,
	fault.Conflict:        false,
	fault.Unauthenticated: false,
	fault.Limited:         true,
	fault.Unavailable:     true,
	fault.Internal:        true,
}

// longestPause bounds the Retry-After that a payment provider may ask for.
const longestPause = time.Minute

// translate makes err an application error whose type is the fault's code, and whose details are its kind and, where it has one, its first
// cause. A kind that the table does not know is tried again: if it were final, it would end the order.
func translate(err error) error {
	if err == nil {
		return nil
	}
	kind := fault.KindOf(err)
	again, known := retryable[kind]
	options := temporal.ApplicationErrorOptions{NonRetryable: known && !again, Details: []any{string(kind)}}
	if kind == fault.Declined {
		options.Category = temporal.ApplicationErrorCategoryBenign
	}
	if f, ok := fault.As(err); ok {
		if f.FirstCause != "" {
			options.Details = append(options.Details, f.FirstCause)
		}
		options.NextRetryDelay = min(f.RetryAfter, longestPause)
		if f.Waiting {
			options.Category = temporal.ApplicationErrorCategoryBenign
		}
	}
	return temporal.NewApplicationErrorWithOptions(err.Error(), fault.CodeOf(err), options)
}

// Refusal returns the code of the business no in err, looking through Temporal's wraps; ok is false for every other failure.
func Refusal(err error) (code string, ok bool) {
	var application *temporal.ApplicationError
	if !errors.As(err, &application) || !application.HasDetails() {
		return "", false
	}
	var kind string
	if application.Details(&kind) != nil || fault.Kind(kind) != fault.Declined {
		return "", false
	}
	return application.Type(), true
}

// Waiting reports whether err says that nothing is wrong and the service has only not decided yet.
func Waiting(err error) bool {
	var application *temporal.ApplicationError
	_, no := Refusal(err)
	return !no && errors.As(err, &application) && application.Category() == temporal.ApplicationErrorCategoryBenign
}

// needsPerson are the codes of failures that stay until a person mends their cause. Services return them as retryable all the same: it is
// the saga that stops the retries of Temporal (OnlyAPerson), so that an older saga, which would take a final failure for the end of the
// order, goes on retrying.
var needsPerson = []string{payments.CodeMisconfigured}

// NeedsPerson reports whether err stays until a person mends its cause: trying again every few seconds tells them nothing.
func NeedsPerson(err error) bool {
	_, no := Refusal(err)
	return err != nil && !no && slices.Contains(needsPerson, Reason(err))
}

// OnlyAPerson are the types of the failures of which NeedsPerson is true, for a retry policy.
func OnlyAPerson() []string { return slices.Clone(needsPerson) }

// Undone reports whether err says that the step was undone before, by an earlier run of the same saga. first is the code of the failure for
// which that run gave up; empty where the undo was recorded without it.
func Undone(err error) (first string, undone bool) {
	var application *temporal.ApplicationError
	if !errors.As(err, &application) || application.Type() != step.CodeUndone {
		return "", false
	}
	var kind string
	if application.Details(&kind, &first) != nil {
		return "", true // it has the kind alone
	}
	return first, true
}

// Reason returns a short stable code for any failure of an activity.
func Reason(err error) string {
	var application *temporal.ApplicationError
	if errors.As(err, &application) && application.Type() != "" {
		return application.Type()
	}
	return "internal"
}
