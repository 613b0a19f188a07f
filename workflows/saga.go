package workflows

import (
	"slices"
	"time"

	"go.temporal.io/sdk/workflow"

	"example.com/orderly/activities"
	"example.com/orderly/internal/orders"
)

// saga is the state of one run of the order workflow.
type saga struct {
	in         OrderInput
	workflowID string // begins every key
	confirmed  bool
	undos      []*step // the steps to undo, in the order in which they were taken
	reason     string  // the code of the failure for which the order is given up; empty where an earlier run gave up and did not record it
	progress   *progress
	stalls     *stallMonitor
}

func newSaga(ctx workflow.Context, in OrderInput) *saga {
	s := &saga{in: in, workflowID: workflow.GetInfo(ctx).WorkflowExecution.ID}
	s.progress = newProgress(ctx, in)
	s.stalls = newStallMonitor(ctx, s.notify)
	return s
}

// key is the idempotency key of a step. It is the same in every run and attempt, and services and the payment provider do each key once.
func (s *saga) key(step string) string { return s.workflowID + ":" + step }

// standing asks the orders service how the order stands.
func (s *saga) standing(ctx workflow.Context) (standing activities.Standing, err error) {
	err = s.retryForever(ctx, "Look up order", func(ctx workflow.Context) (err error) {
		standing, err = activities.LookUp(ctx, s.in.OrderID)
		return err
	})
	return standing, err
}

// take takes one forward step, and retries it until the answer is yes (nil) or no. An error is the business's no, the cancellation of the
// workflow, or a failure that no retry will mend. The undo is registered first, because a step whose answer never came may have been
// done all the same.
func (s *saga) take(ctx workflow.Context, st *step) error {
	if !s.in.takes(st) {
		return nil
	}
	s.undos = append(s.undos, st)
	if st.added && s.in.Confirmed && !s.confirmed { // see OrderInput.Confirmed
		return nil
	}
	do := s.callOf(st)
	if decided, err := s.inline(ctx, st.title, do); decided {
		return err
	}
	entry := s.progress.begin(st.title)
	attempt := s.stalls.begin(ctx, st.title, stepStalls, stepParks)
	err := s.untilMended(ctx, attempt, func() error { return do(forStep(ctx, st.title)) })
	s.stalls.end(attempt)
	s.progress.end(entry, err)
	return err
}

// untilMended repeats a step, ever more rarely, while it fails for a reason that only a person can mend. The attempt is parked at once,
// with that reason.
func (s *saga) untilMended(ctx workflow.Context, attempt *attempt, do func() error) error {
	for pause := parkedPause; ; pause = min(2*pause, maxMendPause) {
		err := do()
		if !activities.NeedsPerson(err) {
			return err
		}
		if err := s.waitParked(ctx, attempt, err, pause); err != nil {
			return err
		}
	}
}

// waitParked parks the attempt for the failure, and waits for the pause.
func (s *saga) waitParked(ctx workflow.Context, attempt *attempt, failure error, pause time.Duration) error {
	s.stalls.park(attempt, activities.Reason(failure))
	return workflow.NewTimerWithOptions(ctx, pause, workflow.TimerOptions{Summary: "Parked: " + attempt.title}).Get(ctx, nil)
}

// callOf returns the function that calls the step's service, with the step's key.
func (s *saga) callOf(st *step) func(ctx workflow.Context) error {
	return func(ctx workflow.Context) error { return st.do(ctx, s, s.key(st.key)) }
}

// inline tries a forward step as a local activity, if the saga is inline. A step that this does not decide is then taken as an activity
// where its service runs. The attempt is not monitored, because it ends long before it could count as stalled. Undos are never inline:
// they must be visible in the web UI, and may take long.
func (s *saga) inline(ctx workflow.Context, title string, do func(ctx workflow.Context) error) (decided bool, err error) {
	if !s.in.Inline {
		return false, nil
	}
	if err = do(forInline(ctx, title)); !activities.Decided(err) {
		return false, nil
	}
	s.progress.end(s.progress.begin(title), err)
	return true, err
}

// completeStep takes the last step, which no service can refuse.
func (s *saga) completeStep(ctx workflow.Context, st *step) error {
	do := s.callOf(st)
	if decided, err := s.inline(ctx, st.title, do); decided && err == nil {
		return nil
	}
	return s.retryForever(ctx, st.title, do)
}

// retryForever runs an undo, a move to an end or a look-up until it succeeds. It returns an error only when Temporal ends the workflow.
func (s *saga) retryForever(ctx workflow.Context, title string, do func(ctx workflow.Context) error) error {
	return s.retryForeverAs(ctx, s.stalls.begin(ctx, title, stepStalls, undoParks), do)
}

func (s *saga) retryForeverAs(ctx workflow.Context, attempt *attempt, do func(ctx workflow.Context) error) error {
	entry := s.progress.begin(attempt.title)
	defer s.stalls.end(attempt)
	for pause := parkedPause; ; pause = min(2*pause, maxParkedPause) {
		err := do(forUndo(ctx, attempt.title))
		if err == nil {
			s.progress.end(entry, nil)
			return nil
		}
		// The retry policy has no limit, so this error is non-retryable: it stays until an operator mends its cause.
		if err := s.waitParked(ctx, attempt, err, pause); err != nil {
			return err
		}
	}
}

// compensate runs the undos in reverse. One that is parked does not hold up the others, but the order does not end before all
// are done: an order that has ended holds nothing.
func (s *saga) compensate(ctx workflow.Context) {
	all := workflow.NewWaitGroup(ctx)
	for _, st := range slices.Backward(s.undos) {
		if st.undo == nil {
			continue
		}
		done := false
		attempt := s.stalls.begin(ctx, st.undo.title, stepStalls, undoParks)
		all.Add(1)
		workflow.Go(ctx, func(ctx workflow.Context) {
			defer all.Done()
			// An error means that Temporal ends the workflow.
			_ = s.retryForeverAs(ctx, attempt, func(ctx workflow.Context) error { return st.undo.do(ctx, s, s.key(st.undo.key), s.key(st.key)) })
			done = true
		})
		_ = workflow.Await(ctx, func() bool { return done || attempt.parked() })
	}
	all.Wait(ctx)
}

// finish shows the end in the web UI and returns the saga's result. The order has been moved there before.
func (s *saga) finish(state orders.State, reason string) (OrderResult, error) {
	s.progress.finish(state, reason)
	return OrderResult{State: state, Reason: reason}, nil
}

// notify flags the order in the orders service, which announces it, and in the web UI.
func (s *saga) notify(ctx workflow.Context, a attention) {
	s.progress.attend(a)
	// Failures are retried. The only final error is that the order does not exist, and then there is nothing to flag.
	_ = activities.Flag(forUndo(ctx, "Tell operators"), orders.Flag{
		OrderID: s.in.OrderID, At: workflow.Now(ctx), Attention: a.level, Step: a.step, Reason: a.reason,
	})
}
