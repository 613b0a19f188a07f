package workflows_test

import (
	"context"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"example.com/orderly/activities"
	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/inventory"
	"example.com/orderly/internal/orders"
	"example.com/orderly/internal/payments"
	"example.com/orderly/workflows"
)

// Every way an order can go: what is asked for, in which order, and where it ends.
func TestOrder(t *testing.T) {
	t.Parallel()
	down := errors.New("connection refused")
	for name, c := range map[string]struct {
		answers map[string][]error
		asked   string
		result  workflows.OrderResult
	}{
		"completes": {
			asked:  "inventory.reserve payments.authorize orders.confirm payments.capture orders.complete",
			result: workflows.OrderResult{State: orders.Completed},
		},
		"out of stock is rejected": {
			answers: map[string][]error{"inventory.reserve": {no("out_of_stock")}},
			asked:   "inventory.reserve inventory.release orders.reject",
			result:  workflows.OrderResult{State: orders.Rejected, Reason: "out_of_stock"},
		},
		"a declined card is rejected and the stock released": {
			answers: map[string][]error{"payments.authorize": {no("card_declined")}},
			asked:   "inventory.reserve payments.authorize payments.void inventory.release orders.reject",
			result:  workflows.OrderResult{State: orders.Rejected, Reason: "card_declined"},
		},
		"called off before the confirmation is cancelled and undone": {
			answers: map[string][]error{"orders.confirm": {no(orders.CodeCancelRequested)}},
			asked:   "inventory.reserve payments.authorize orders.confirm payments.void inventory.release orders.cancel",
			result:  workflows.OrderResult{State: orders.Cancelled, Reason: orders.CodeCancelRequested},
		},
		"a capture refused for good is reversed as a whole": {
			answers: map[string][]error{"payments.capture": {no("capture_refused")}},
			asked: "inventory.reserve payments.authorize orders.confirm payments.capture " +
				"payments.refund payments.void inventory.release orders.reverse",
			result: workflows.OrderResult{State: orders.Reversed, Reason: "capture_refused"},
		},
		"failures of a moment are tried again": {
			answers: map[string][]error{
				"inventory.reserve": {down, down}, "payments.authorize": {down}, "orders.confirm": {down},
				"payments.capture": {down, down, down}, "orders.complete": {down},
			},
			asked: "inventory.reserve inventory.reserve inventory.reserve payments.authorize payments.authorize " +
				"orders.confirm orders.confirm payments.capture payments.capture payments.capture payments.capture " +
				"orders.complete orders.complete",
			result: workflows.OrderResult{State: orders.Completed},
		},
		"failures of a moment while undoing are tried again": {
			answers: map[string][]error{
				"payments.authorize": {no("card_declined")}, "payments.void": {down}, "inventory.release": {down, down},
				"orders.reject": {down},
			},
			asked: "inventory.reserve payments.authorize payments.void payments.void " +
				"inventory.release inventory.release inventory.release orders.reject orders.reject",
			result: workflows.OrderResult{State: orders.Rejected, Reason: "card_declined"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBothPlacements(t, func(t *testing.T, inline bool) {
				s := newStage(t, inline, c.answers)
				require.Equal(t, c.result, s.run(t))
				require.Equal(t, c.asked, strings.Join(s.asked, " "))
			})
		})
	}
}

// An earlier run of the saga had begun to undo: before a Reset in the web UI, or lost with Temporal's database. What is left
// to undo is not in this run's history, so everything is undone, and the order's own state decides about its end. The reason is the one
// for which the earlier run gave up, where its undos recorded one, and the undos of this run pass it on.
func TestOrderThatWasBeingUndone(t *testing.T) {
	t.Parallel()
	const everything = "payments.refund payments.void inventory.release"
	pending, confirmed := activities.Standing{State: orders.Pending}, activities.Standing{State: orders.Confirmed}
	for name, c := range map[string]struct {
		first    string
		standing activities.Standing
		asked    string
		result   workflows.OrderResult
		passedOn string
	}{
		"a pending order is rejected": {
			first: "card_declined", standing: pending,
			asked:  "inventory.reserve orders.look_up " + everything + " orders.reject",
			result: workflows.OrderResult{State: orders.Rejected, Reason: "card_declined"}, passedOn: "card_declined",
		},
		"an order whose workflow was cancelled is cancelled": {
			first: "cancelled_by_operator", standing: pending,
			asked:  "inventory.reserve orders.look_up " + everything + " orders.cancel",
			result: workflows.OrderResult{State: orders.Cancelled, Reason: "cancelled_by_operator"}, passedOn: "cancelled_by_operator",
		},
		"an order that was called off is cancelled": {
			first: orders.CodeCancelRequested, standing: pending,
			asked:  "inventory.reserve orders.look_up " + everything + " orders.cancel",
			result: workflows.OrderResult{State: orders.Cancelled, Reason: orders.CodeCancelRequested}, passedOn: orders.CodeCancelRequested,
		},
		"a confirmed order is reversed": {
			first: "capture_refused", standing: confirmed,
			asked:  "inventory.reserve orders.look_up " + everything + " orders.reverse",
			result: workflows.OrderResult{State: orders.Reversed, Reason: "capture_refused"}, passedOn: "capture_refused",
		},
		"a confirmed order is reversed, also where it was given up for a cancellation": {
			first: "cancelled_by_operator", standing: confirmed,
			asked:  "inventory.reserve orders.look_up " + everything + " orders.reverse",
			result: workflows.OrderResult{State: orders.Reversed, Reason: "cancelled_by_operator"}, passedOn: "cancelled_by_operator",
		},
		"a pending order whose undos recorded no reason": {
			standing: pending,
			asked:    "inventory.reserve orders.look_up " + everything + " orders.reject",
			result:   workflows.OrderResult{State: orders.Rejected, Reason: "step_undone"},
		},
		"a confirmed order whose undos recorded no reason": {
			standing: confirmed,
			asked:    "inventory.reserve orders.look_up " + everything + " orders.reverse",
			result:   workflows.OrderResult{State: orders.Reversed, Reason: "step_undone"},
		},
		"a completed order is left alone": {
			first: "card_declined", standing: activities.Standing{State: orders.Completed},
			asked:  "inventory.reserve orders.look_up",
			result: workflows.OrderResult{State: orders.Completed},
		},
		"an order that has ended keeps its end": {
			first: "card_declined", standing: activities.Standing{State: orders.Cancelled, Reason: "cancel_requested"},
			asked:  "inventory.reserve orders.look_up " + everything,
			result: workflows.OrderResult{State: orders.Cancelled, Reason: "cancel_requested"}, passedOn: "cancel_requested",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBothPlacements(t, func(t *testing.T, inline bool) {
				s := newStage(t, inline, map[string][]error{"inventory.reserve": {undone(c.first)}})
				s.standing = c.standing
				require.Equal(t, c.result, s.run(t))
				require.Equal(t, c.asked, strings.Join(s.asked, " "))
				s.requireReason(t, c.passedOn)
			})
		})
	}
}

// Behind the pivot, too: a payment that was given up before the order was confirmed again can't be captured.
func TestACaptureThatWasUndoneReversesForTheFirstCause(t *testing.T) {
	t.Parallel()
	inBothPlacements(t, func(t *testing.T, inline bool) {
		s := newStage(t, inline, map[string][]error{"payments.capture": {undone("cancelled_by_operator")}})
		s.standing = activities.Standing{State: orders.Confirmed}
		require.Equal(t, workflows.OrderResult{State: orders.Reversed, Reason: "cancelled_by_operator"}, s.run(t))
		s.requireReason(t, "cancelled_by_operator")
	})
}

// The keys are what services and provider do a step once by: the same in every run and attempt, never the same for two steps.
func TestKeysComeFromTheWorkflow(t *testing.T) {
	t.Parallel()
	inBothPlacements(t, func(t *testing.T, inline bool) {
		s := newStage(t, inline, map[string][]error{"payments.capture": {no("capture_refused")}})
		s.env.SetStartWorkflowOptions(s.in.StartOptions())
		s.run(t)
		require.Equal(t, map[string]any{
			"inventory.reserve":  inventory.Reservation{Key: "order-o-1:reserve", OrderID: "o-1", Lines: input.Lines},
			"inventory.release":  inventory.Release{Key: "order-o-1:release", Undoes: "order-o-1:reserve", OrderID: "o-1", Reason: "capture_refused"},
			"payments.authorize": payments.Authorization{Key: "order-o-1:authorize", OrderID: "o-1", AmountMinor: 3000, Currency: "EUR", PaymentMethod: "pm_card_visa"},
			"payments.void":      payments.Undo{Key: "order-o-1:void", Undoes: "order-o-1:authorize", OrderID: "o-1", Reason: "capture_refused"},
			"payments.capture":   payments.Capture{Key: "order-o-1:capture", OrderID: "o-1"},
			"payments.refund":    payments.Undo{Key: "order-o-1:refund", Undoes: "order-o-1:capture", OrderID: "o-1", Reason: "capture_refused"},
			"orders.confirm":     orders.Move{Key: "order-o-1:confirm", OrderID: "o-1"},
			"orders.reverse":     orders.Move{Key: "order-o-1:reversed", OrderID: "o-1", Reason: "capture_refused"},
		}, s.inputs)
	})
}

// An operator clicks Cancel in the Temporal UI.
func TestCancellation(t *testing.T) {
	t.Parallel()
	inBothPlacements(t, func(t *testing.T, inline bool) {
		t.Run("before the pivot it undoes everything", func(t *testing.T) {
			t.Parallel()
			s := newStage(t, inline, map[string][]error{"payments.authorize": {errors.New("provider is out"), errors.New("provider is out")}})
			s.env.RegisterDelayedCallback(s.env.CancelWorkflow, time.Second+time.Second/2)
			require.Equal(t, workflows.OrderResult{State: orders.Cancelled, Reason: "cancelled_by_operator"}, s.run(t))
			require.Equal(t, "payments.void inventory.release orders.cancel", strings.Join(s.asked[len(s.asked)-3:], " "))
		})

		t.Run("after the pivot it changes nothing", func(t *testing.T) {
			t.Parallel()
			s := newStage(t, inline, map[string][]error{"payments.capture": {errors.New("provider is out"), errors.New("provider is out")}})
			s.env.RegisterDelayedCallback(s.env.CancelWorkflow, time.Second+time.Second/2)
			require.Equal(t, workflows.OrderResult{State: orders.Completed}, s.run(t))
		})

		t.Run("while confirming, the confirmation is waited for", func(t *testing.T) {
			t.Parallel()
			s := newStage(t, inline, map[string][]error{"orders.confirm": {errors.New("database is out"), errors.New("database is out")}})
			s.env.RegisterDelayedCallback(s.env.CancelWorkflow, time.Second+time.Second/2)
			require.Equal(t, workflows.OrderResult{State: orders.Completed}, s.run(t))
		})
	})
}

// What keeps failing is shown to operators, retried all the same, and cleared when it moves again.
func TestAttention(t *testing.T) {
	t.Parallel()
	inBothPlacements(t, func(t *testing.T, inline bool) {
		t.Run("a step that fails for minutes is stalled, then parked, then done", func(t *testing.T) {
			t.Parallel()
			failures := make([]error, 7) // more than half an hour; the test environment gives up after ten
			for i := range failures {
				failures[i] = temporal.NewApplicationErrorWithOptions("provider is out", "", temporal.ApplicationErrorOptions{
					NextRetryDelay: 5 * time.Minute,
				})
			}
			s := newStage(t, inline, map[string][]error{"payments.authorize": failures})
			var flags []orders.Flag
			var last time.Time
			s.env.SetOnActivityStartedListener(func(info *activity.Info, _ context.Context, args converter.EncodedValues) {
				var flag orders.Flag
				if info.ActivityType.Name == "orders.flag" && args.Get(&flag) == nil {
					require.True(t, flag.At.After(last), "a flag that is decided later must say so")
					last, flag.At = flag.At, time.Time{}
					flags = append(flags, flag)
				}
			})
			require.Equal(t, workflows.OrderResult{State: orders.Completed}, s.run(t))
			require.Equal(t, []orders.Flag{
				{OrderID: "o-1", Attention: orders.Stalled, Step: "Authorise payment", Reason: "no_answer"},
				{OrderID: "o-1", Attention: orders.Parked, Step: "Authorise payment", Reason: "no_answer"},
				{OrderID: "o-1"},
			}, flags)
		})

		t.Run("an undo that is refused is parked, and the others go on", func(t *testing.T) {
			t.Parallel()
			s := newStage(t, inline, map[string][]error{
				"payments.authorize": {no("card_declined")},
				"payments.void":      {broken("unknown_intent"), broken("unknown_intent")},
			})
			require.Equal(t, workflows.OrderResult{State: orders.Rejected, Reason: "card_declined"}, s.run(t))
			trace := strings.ReplaceAll(strings.Join(s.asked, " "), "orders.flag ", "")
			require.Equal(t, "inventory.reserve payments.authorize payments.void inventory.release "+
				"payments.void payments.void orders.reject", trace)
			require.Contains(t, s.asked, "orders.flag")
		})
	})
}

// A key that the provider refuses is no outage: operators are told at once, with the reason, and the order goes on when it is mended.
func TestWhatNeedsAPersonIsParkedAtOnce(t *testing.T) {
	t.Parallel()
	refused := temporal.NewApplicationErrorWithOptions("the payment provider refused our key", payments.CodeMisconfigured,
		temporal.ApplicationErrorOptions{Details: []any{string(fault.Internal)}})
	for activityName, c := range map[string]struct {
		step    string
		answers map[string][]error
		result  workflows.OrderResult
		waits   []time.Duration
	}{
		"payments.authorize": {"Authorise payment", nil, workflows.OrderResult{State: orders.Completed}, []time.Duration{1, 2, 4, 8, 10, 10}},
		"payments.capture":   {"Capture payment", nil, workflows.OrderResult{State: orders.Completed}, []time.Duration{1, 2, 4, 8, 10, 10}},
		"payments.void": {
			"Void payment", map[string][]error{"payments.authorize": {no("card_declined")}},
			workflows.OrderResult{State: orders.Rejected, Reason: "card_declined"}, []time.Duration{1, 2, 4, 8, 16, 32},
		},
		"payments.refund": {
			"Refund payment", map[string][]error{"payments.capture": {no("capture_refused")}},
			workflows.OrderResult{State: orders.Reversed, Reason: "capture_refused"}, []time.Duration{1, 2, 4, 8, 16, 32},
		},
	} {
		t.Run(activityName, func(t *testing.T) {
			t.Parallel()
			inBothPlacements(t, func(t *testing.T, inline bool) {
				answers := map[string][]error{activityName: {refused, refused, refused, refused, refused, refused}}
				maps.Copy(answers, c.answers)
				s := newStage(t, inline, answers)
				var flags []orders.Flag
				var told, waits []time.Duration
				var attempts []time.Time
				s.env.SetOnActivityStartedListener(func(info *activity.Info, _ context.Context, args converter.EncodedValues) {
					var flag orders.Flag
					switch {
					case info.ActivityType.Name == activityName:
						attempts = append(attempts, s.env.Now())
					case info.ActivityType.Name == "orders.flag" && args.Get(&flag) == nil:
						told = append(told, s.env.Now().Sub(attempts[0]).Round(time.Second))
						flag.At = time.Time{}
						flags = append(flags, flag)
					}
				})
				require.Equal(t, c.result, s.run(t))
				require.Equal(t, []orders.Flag{
					{OrderID: "o-1", Attention: orders.Parked, Step: c.step, Reason: payments.CodeMisconfigured}, {OrderID: "o-1"},
				}, flags)
				require.Zero(t, told[0])
				for i := range attempts[1:] {
					waits = append(waits, attempts[i+1].Sub(attempts[i]).Round(time.Minute)/time.Minute)
				}
				require.Equal(t, c.waits, waits)
			})
		})
	}
	t.Run("cancelled while it is parked", func(t *testing.T) {
		t.Parallel()
		s := newStage(t, false, map[string][]error{"payments.authorize": {refused, refused}})
		s.env.RegisterDelayedCallback(s.env.CancelWorkflow, 30*time.Second)
		require.Equal(t, workflows.OrderResult{State: orders.Cancelled, Reason: "cancelled_by_operator"}, s.run(t))
		require.Equal(t, "payments.void inventory.release orders.cancel", strings.ReplaceAll(strings.Join(s.asked[2:], " "), "orders.flag ", ""))
	})
}

// A parked undo is tried again ever more rarely, so that weeks of it fit into one history, and never less than once an hour.
func TestParkedUndoIsTriedEverMoreRarely(t *testing.T) {
	t.Parallel()
	inBothPlacements(t, func(t *testing.T, inline bool) {
		refusals := make([]error, 11)
		for i := range refusals {
			refusals[i] = broken("unknown_intent")
		}
		s := newStage(t, inline, map[string][]error{"payments.authorize": {no("card_declined")}, "payments.void": refusals})
		var attempts []time.Time
		s.env.SetOnActivityStartedListener(func(info *activity.Info, _ context.Context, _ converter.EncodedValues) {
			if info.ActivityType.Name == "payments.void" {
				attempts = append(attempts, s.env.Now())
			}
		})
		s.run(t)
		var waits []time.Duration
		for i := 1; i < len(attempts); i++ {
			waits = append(waits, attempts[i].Sub(attempts[i-1]).Round(time.Minute))
		}
		minutes := func(n ...time.Duration) (all []time.Duration) {
			for _, m := range n {
				all = append(all, m*time.Minute)
			}
			return all
		}
		require.Equal(t, minutes(1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60), waits)
	})
}

// A step that begins while the stall monitor waits for a stalled one is flagged in time all the same.
func TestEveryStepIsMonitored(t *testing.T) {
	t.Parallel()
	inBothPlacements(t, func(t *testing.T, inline bool) {
		slow := temporal.NewApplicationErrorWithOptions("away", "", temporal.ApplicationErrorOptions{NextRetryDelay: 150 * time.Second})
		s := newStage(t, inline, map[string][]error{"inventory.reserve": {slow}, "payments.authorize": {slow}})
		stalled := map[string]time.Duration{}
		began := s.env.Now()
		s.env.SetOnActivityStartedListener(func(info *activity.Info, _ context.Context, args converter.EncodedValues) {
			var flag orders.Flag
			if info.ActivityType.Name == "orders.flag" && args.Get(&flag) == nil && flag.Attention == orders.Stalled {
				stalled[flag.Step] = s.env.Now().Sub(began).Round(time.Second)
			}
		})
		s.run(t)
		require.Equal(t, map[string]time.Duration{"Reserve stock": 120 * time.Second, "Authorise payment": 270 * time.Second}, stalled)
	})
}

// The last word about an order is its end: what operators were told is taken back before. But a flag that can't be told does
// not keep the order from ending.
func TestOperatorsAreToldBeforeTheEnd(t *testing.T) {
	t.Parallel()
	inBothPlacements(t, func(t *testing.T, inline bool) {
		stalling := temporal.NewApplicationErrorWithOptions("away", "", temporal.ApplicationErrorOptions{NextRetryDelay: 150 * time.Second})

		t.Run("the flag is cleared before the order completes", func(t *testing.T) {
			t.Parallel()
			s := newStage(t, inline, map[string][]error{"payments.capture": {stalling}})
			s.run(t)
			require.Equal(t, "orders.flag orders.complete", strings.Join(s.asked[len(s.asked)-2:], " "))
		})

		t.Run("a flag that can't be cleared does not hold up the end", func(t *testing.T) {
			t.Parallel()
			s := newStage(t, inline, map[string][]error{"payments.capture": {stalling}, "orders.flag": {nil, stalling, stalling}})
			require.Equal(t, workflows.OrderResult{State: orders.Completed}, s.run(t))
		})
	})
}

func TestDetailsTellTheStory(t *testing.T) {
	t.Parallel()
	inBothPlacements(t, func(t *testing.T, inline bool) {
		s := newStage(t, inline, map[string][]error{"payments.authorize": {no("card_declined")}})
		s.run(t)
		details := s.details(t)
		require.Contains(t, details, "Order `o-1` over **30.00 EUR** is **rejected** (card_declined).")
		require.Contains(t, details, "| Reserve stock | done |\n| Authorise payment | refused: card_declined |\n"+
			"| Void payment | done |\n| Release stock | done |\n| Reject order | done |\n")
	})
}
