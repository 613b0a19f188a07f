package activities_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"example.com/orderly/activities"
	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/inventory"
	"example.com/orderly/internal/outbox"
	"example.com/orderly/internal/payments"
	"example.com/orderly/internal/step"
	"example.com/orderly/internal/testenv"
)

// What Temporal does with each kind of failure, through a wrap as services return them.
func TestEachKindOfFailure(t *testing.T) {
	t.Parallel()
	retries := map[fault.Kind]bool{
		fault.Declined: false, fault.Invalid: false, fault.NotFound: false, fault.Conflict: false, fault.Unauthenticated: false,
		fault.Limited: true, fault.Unavailable: true, fault.Internal: true,
	}
	for _, kind := range fault.Kinds() {
		retried, known := retries[kind]
		require.True(t, known, "what Temporal does with %s is not said", kind)
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			failure := fault.New(kind, "some_code", "because")
			failure.RetryAfter = 7 * time.Second
			err := activities.Translate(fmt.Errorf("reserve: %w", failure))
			var application *temporal.ApplicationError
			require.ErrorAs(t, err, &application)
			require.Equal(t, retried, !application.NonRetryable())
			require.Equal(t, "some_code", application.Type())
			require.Equal(t, 7*time.Second, application.NextRetryDelay())
			require.Equal(t, kind == fault.Declined, application.Category() == temporal.ApplicationErrorCategoryBenign)
			require.Equal(t, "some_code", activities.Reason(err))
			code, refused := activities.Refusal(fmt.Errorf("activity: %w", err))
			require.Equal(t, kind == fault.Declined, refused)
			if refused {
				require.Equal(t, "some_code", code)
			}
		})
	}
}

// What has not been decided yet is asked again like any outage, but is no failure to log or to count.
func TestWaitingIsNoFailure(t *testing.T) {
	t.Parallel()
	for _, waiting := range []bool{true, false} {
		failure := fault.New(fault.Unavailable, "some_code", "not decided yet")
		failure.Waiting = waiting
		err := activities.Translate(fmt.Errorf("authorise: %w", failure))
		require.Equal(t, waiting, activities.Waiting(fmt.Errorf("activity: %w", err)))
		var application *temporal.ApplicationError
		require.ErrorAs(t, err, &application)
		require.False(t, application.NonRetryable())
		require.Equal(t, waiting, application.Category() == temporal.ApplicationErrorCategoryBenign, "the SDK logs what is not benign as an error")
	}
	require.False(t, activities.Waiting(activities.Translate(fault.New(fault.Declined, "some_code", "no"))), "a no is an answer")
}

// An undone step names what its saga gave up for, where that was recorded. Workers of both versions read what either wrote: the kind comes
// first, as before, and the cause is one more detail.
func TestAnUndoneStepNamesTheFirstCause(t *testing.T) {
	t.Parallel()
	for _, cause := range []string{"card_declined", ""} {
		err := activities.Translate(fmt.Errorf("reserve: %w", step.Undone(cause, "undone")))
		for name, err := range map[string]error{
			"as it is made": err, "after its encoding": temporal.GetDefaultFailureConverter().FailureToError(
				temporal.GetDefaultFailureConverter().ErrorToFailure(err)),
		} {
			first, undone := activities.Undone(fmt.Errorf("activity: %w", err))
			require.True(t, undone, name)
			require.Equal(t, cause, first, name)
			var application *temporal.ApplicationError
			require.ErrorAs(t, err, &application)
			var kind string
			require.NoError(t, application.Details(&kind), "as an older worker reads it")
			require.Equal(t, string(fault.Conflict), kind)
			require.Equal(t, step.CodeUndone, activities.Reason(err))
		}
	}
	_, undone := activities.Undone(activities.Translate(fault.New(fault.Conflict, "order_state", "another conflict")))
	require.False(t, undone)
	_, undone = activities.Undone(errors.New("disk full"))
	require.False(t, undone)
}

// Only the saga may stop the retries of what needs a person: one of an older release would take a final failure for the end of the order.
func TestWhatNeedsAPersonIsTriedAgainByASagaThatDoesNotKnowIt(t *testing.T) {
	t.Parallel()
	err := activities.Translate(fmt.Errorf("authorise: %w", fault.New(fault.Internal, payments.CodeMisconfigured, "refused our key")))
	var application *temporal.ApplicationError
	require.ErrorAs(t, err, &application)
	require.False(t, application.NonRetryable())
	require.True(t, activities.NeedsPerson(fmt.Errorf("activity: %w", err)))
	require.Contains(t, activities.OnlyAPerson(), application.Type())
	for _, other := range []error{nil, errors.New("disk full"), activities.Translate(fault.New(fault.Declined, payments.CodeMisconfigured, "no"))} {
		require.False(t, activities.NeedsPerson(other), "%v", other)
	}
}

// A kind that this table does not know would end the order if it were final.
func TestAnUnknownKindIsTriedAgain(t *testing.T) {
	t.Parallel()
	var application *temporal.ApplicationError
	require.ErrorAs(t, activities.Translate(fault.New("new_kind", "some_code", "because")), &application)
	require.False(t, application.NonRetryable())
}

func TestWhatCarriesNoKindIsTriedAgain(t *testing.T) {
	t.Parallel()
	err := activities.Translate(errors.New("disk full"))
	var application *temporal.ApplicationError
	require.ErrorAs(t, err, &application)
	require.False(t, application.NonRetryable())
	require.NoError(t, activities.Translate(nil))
	_, refused := activities.Refusal(errors.New("disk full"))
	require.False(t, refused)
}

// One no from the service to the workflow's side of the border, through Temporal's own encoding.
func TestRefusalCrossesTheBorder(t *testing.T) {
	t.Parallel()
	box := outbox.New(testenv.SQLite(t, "inventory", inventory.Migrations()...), "inventory", time.Now)
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestActivityEnvironment()
	activities.RegisterInventory(env, inventory.New(box))
	_, err := env.ExecuteActivity("inventory.reserve", inventory.Reservation{
		Key: "order-1:reserve", OrderID: "1", Lines: []inventory.Quantity{{SKU: "unicorn", Quantity: 1}},
	})
	code, refused := activities.Refusal(err)
	require.True(t, refused)
	require.Equal(t, "unknown_sku", code)
}
