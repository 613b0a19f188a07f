package workflows_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"example.com/orderly/activities"
	"example.com/orderly/internal/orders"
	"example.com/orderly/workflows"
)

var forwardSteps = []string{"inventory.reserve", "payments.authorize", "orders.confirm", "payments.capture", "orders.complete"}

// regular notes which activities are asked for where their service runs.
func (s *stage) regular() *[]string {
	var names []string
	s.env.SetOnActivityStartedListener(func(info *activity.Info, _ context.Context, _ converter.EncodedValues) {
		names = append(names, info.ActivityType.Name)
	})
	return &names
}

func TestAHealthyInlineSagaAsksForNothingElsewhere(t *testing.T) {
	t.Parallel()
	s := newStage(t, true, nil)
	regular := s.regular()
	require.Equal(t, workflows.OrderResult{State: orders.Completed}, s.run(t))
	require.Equal(t, forwardSteps, s.inline)
	require.Empty(t, *regular)
}

func TestARegularSagaTriesNothingInline(t *testing.T) {
	t.Parallel()
	s := newStage(t, false, nil)
	regular := s.regular()
	s.run(t)
	require.Empty(t, s.inline)
	require.Equal(t, forwardSteps, *regular)
}

// Only a yes or a no counts. What fails here, or is not known after two seconds, is asked for where its service runs.
func TestAnUndecidedInlineAttemptIsFollowedByARegularOne(t *testing.T) {
	t.Parallel()
	t.Run("after a failure", func(t *testing.T) {
		t.Parallel()
		s := newStage(t, true, map[string][]error{"payments.capture": {errors.New("provider is out")}})
		regular := s.regular()
		require.Equal(t, workflows.OrderResult{State: orders.Completed}, s.run(t))
		require.Equal(t, forwardSteps, s.inline, "one inline attempt each")
		require.Equal(t, []string{"payments.capture", "payments.capture"}, *regular, "the one that failed and the one that did not")
	})
	t.Run("after silence", func(t *testing.T) {
		t.Parallel()
		s := newStage(t, true, nil)
		s.hangs = "inventory.reserve"
		regular := s.regular()
		require.Equal(t, workflows.OrderResult{State: orders.Completed}, s.run(t))
		require.Equal(t, []string{"inventory.reserve"}, *regular)
	})
}

func TestAnInlineNoIsFinalAndItsUndosAreRegular(t *testing.T) {
	t.Parallel()
	s := newStage(t, true, map[string][]error{"payments.authorize": {no("card_declined")}})
	regular := s.regular()
	require.Equal(t, workflows.OrderResult{State: orders.Rejected, Reason: "card_declined"}, s.run(t))
	require.Equal(t, []string{"inventory.reserve", "payments.authorize"}, s.inline)
	require.Equal(t, []string{"payments.void", "inventory.release", "orders.reject"}, *regular)
}

// A workflow task that took inline steps is thrown away when a cancellation comes meanwhile. The history then begins with the cancellation,
// though the order may have come to any state.
func TestACancelledInlineSagaAsksHowTheOrderStands(t *testing.T) {
	t.Parallel()
	const everything = "payments.refund payments.void inventory.release"
	for state, c := range map[orders.State]struct {
		asked string
		end   orders.State
	}{
		orders.Pending:   {"orders.look_up " + everything + " orders.cancel", orders.Cancelled},
		orders.Confirmed: {"orders.look_up payments.capture orders.complete", orders.Completed},
		orders.Completed: {"orders.look_up", orders.Completed},
	} {
		t.Run(string(state), func(t *testing.T) {
			t.Parallel()
			s := newStage(t, true, map[string][]error{"inventory.reserve": {temporal.NewCanceledError()}})
			s.standing = activities.Standing{State: state}
			require.Equal(t, c.end, s.run(t).State)
			require.Equal(t, c.asked, strings.Join(slices.DeleteFunc(s.asked, func(name string) bool { return name == "inventory.reserve" }), " "))
		})
	}
}
