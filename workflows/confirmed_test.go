package workflows_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"example.com/orderly/activities"
	"example.com/orderly/internal/orders"
	"example.com/orderly/workflows"
)

// A run after a Reset, or of a saga that was started anew, may find the order further than itself. What stops it before the pivot must
// not take money or stock from an order that is confirmed or completed, whichever step it was and however it failed.
func TestAStepBeforeThePivotNeverUndoesAConfirmedOrder(t *testing.T) {
	t.Parallel()
	const fulfilled = "payments.capture orders.complete"
	ends := map[string]orders.State{"no": orders.Rejected, "conflict": orders.Rejected, "cancelled": orders.Cancelled}
	moves := map[orders.State]string{orders.Rejected: " orders.reject", orders.Cancelled: " orders.cancel"}
	before := []string{"inventory.reserve", "payments.authorize", "orders.confirm"}
	const everything = "payments.refund payments.void inventory.release"
	for cause, err := range map[string]error{
		"no": no("refuses_everything"), "conflict": broken("refuses_everything"), "cancelled": temporal.NewCanceledError(),
	} {
		for state, c := range map[orders.State]struct {
			after string
			end   orders.State
		}{
			// The earlier run may have taken steps that this one has not come to.
			orders.Pending:   {everything + moves[ends[cause]], ends[cause]},
			orders.Confirmed: {fulfilled, orders.Completed},
			orders.Completed: {"", orders.Completed},
			orders.Rejected:  {everything, orders.Rejected},
			orders.Cancelled: {everything, orders.Cancelled},
			orders.Reversed:  {everything, orders.Reversed},
		} {
			for _, step := range before {
				t.Run(strings.Join([]string{cause, string(state), step}, " "), func(t *testing.T) {
					t.Parallel()
					inBothPlacements(t, func(t *testing.T, inline bool) {
						s := newStage(t, inline, map[string][]error{step: {err}})
						s.in.Again, s.standing = true, activities.Standing{State: state}
						result := s.run(t)
						_, after, looked := strings.Cut(strings.Join(s.asked, " "), "orders.look_up")
						require.True(t, looked)
						require.Equal(t, c.after, strings.TrimSpace(after))
						require.Equal(t, c.end, result.State)
					})
				})
			}
		}
	}
}

// Behind the pivot the order is this run's again: what is refused there reverses it, and everything is undone, also what came before
// the step that stopped this run.
func TestAResumedOrderCanStillBeReversed(t *testing.T) {
	t.Parallel()
	inBothPlacements(t, func(t *testing.T, inline bool) {
		s := newStage(t, inline, map[string][]error{
			"inventory.reserve": {no("refuses_everything")}, "payments.capture": {no("capture_refused")},
		})
		s.in.Again, s.standing = true, activities.Standing{State: orders.Confirmed}
		require.Equal(t, workflows.OrderResult{State: orders.Reversed, Reason: "capture_refused"}, s.run(t))
		require.Equal(t, "inventory.reserve orders.look_up payments.capture "+
			"payments.refund payments.void inventory.release orders.reverse", strings.Join(s.asked, " "))
	})
}

// A step that was added later is taken by the sagas whose input names it, and by no other: not after a Reset of an order that was placed
// before, and not by a saga that is started anew for an order that was confirmed before. Not parallel, because it changes the process.
func TestAnAddedStep(t *testing.T) {
	defer workflows.MarkAdded("authorize")()
	order := orders.Order{ID: "o-1", State: orders.Pending}
	require.Contains(t, workflows.InputFor(order, true, false, true).Steps, "authorize")
	require.False(t, workflows.InputFor(order, true, false, true).Confirmed)
	order.State = orders.Confirmed
	require.True(t, workflows.InputFor(order, true, false, true).Confirmed)

	for name, c := range map[string]struct {
		steps     []string
		confirmed bool
		answers   map[string][]error
		asked     string
	}{
		"a saga that was started before it": {
			asked: "inventory.reserve orders.confirm payments.capture orders.complete",
		},
		"a saga that was started before it and is undone": {
			answers: map[string][]error{"payments.capture": {no("capture_refused")}},
			asked:   "inventory.reserve orders.confirm payments.capture payments.refund inventory.release orders.reverse",
		},
		"a saga that was started with it": {
			steps: []string{"authorize"},
			asked: "inventory.reserve payments.authorize orders.confirm payments.capture orders.complete",
		},
		"a saga started anew for a confirmed order": {
			steps: []string{"authorize"}, confirmed: true,
			asked: "inventory.reserve orders.confirm payments.capture orders.complete",
		},
		"a saga started anew for a confirmed order and reversed": {
			steps: []string{"authorize"}, confirmed: true,
			answers: map[string][]error{"payments.capture": {no("capture_refused")}},
			asked: "inventory.reserve orders.confirm payments.capture " +
				"payments.refund payments.void inventory.release orders.reverse",
		},
	} {
		for placement, inline := range placements {
			t.Run(name+" "+placement, func(t *testing.T) {
				s := newStage(t, inline, c.answers)
				s.in.Steps, s.in.Confirmed = c.steps, c.confirmed
				s.run(t)
				require.Equal(t, c.asked, strings.Join(s.asked, " "))
			})
		}
	}
}

// The list of steps is in the order in which a saga takes them: undos run in its reverse, and a resumed order is undone up to the pivot.
func TestStepsAreListedInTheOrderInWhichTheyAreTaken(t *testing.T) {
	t.Parallel()
	inBothPlacements(t, func(t *testing.T, inline bool) {
		s := newStage(t, inline, nil)
		s.run(t)
		var taken []string
		for _, row := range regexp.MustCompile(`\| (.+) \| done \|`).FindAllStringSubmatch(s.details(t), -1) {
			taken = append(taken, row[1])
		}
		require.Equal(t, workflows.Titles(), taken)
	})
}

func TestKeysOfStepsAreUnique(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, key := range workflows.Keys() {
		require.NotEmpty(t, key)
		require.False(t, seen[key], "two steps or ends share the key %q: one would be answered from the other's record", key)
		seen[key] = true
	}
}

// A workflow that asks for what no worker has fails its test by the name of the activity, and does not wait for it.
func TestAnActivityThatIsNotRegisteredFailsAtOnce(t *testing.T) {
	t.Parallel()
	s := newStage(t, false, nil)
	s.env.RegisterWorkflow(asksForUnknown)
	s.env.ExecuteWorkflow(asksForUnknown)
	require.True(t, s.env.IsWorkflowCompleted())
	require.ErrorContains(t, s.env.GetWorkflowError(), "nowhere.ask, which is not registered")
}

func asksForUnknown(ctx workflow.Context) error {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: time.Second})
	return workflow.ExecuteActivity(ctx, "nowhere.ask").Get(ctx, nil)
}
