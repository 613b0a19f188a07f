package workflows

import (
	"slices"

	"go.temporal.io/sdk/workflow"

	"example.com/orderly/activities"
	"example.com/orderly/internal/orders"
)

// saga is one run of the order workflow: what has been done, what would undo it, and what there is to see.
type saga struct {
	in        OrderInput
	workflow  string // the workflow's id, which begins every key
	confirmed bool
	undos     []*step // the steps to undo, in the order in which they were taken
	progress  *progress
	stalls    *stallMonitor
}

func newSaga(ctx workflow.Context, in OrderInput) *saga {
	s := &saga{in: in, workflow: workflow.GetInfo(ctx).WorkflowExecution.ID}
	s.progress = newProgress(ctx, in)
	s.stalls = newStallMonitor(ctx, s.notify)
	return s
}

// key names a step for ever, whichever run, attempt or worker asks: services and the payment provider do each key once.
func (s *saga) key(step string) string { return s.workflow + ":" + step }

// standing asks the orders service how the order stands.
func (s *saga) standing(ctx workflow.Context) (standing activities.Standing, err error) {
	err = s.retryForever(ctx, "Look up order", func(ctx workflow.Context) (err error) {
		standing, err = activities.LookUp(ctx, s.in.OrderID)
		return err
	})
	return standing, err
}

// take takes one forward step until the answer is yes (nil) or no. An error is the business's no, the cancellation of the
// workflow, or a failure that no retry will mend. The undo is registered first, because a step whose answer never came may have been
// done all the same.
func (s *saga) take(ctx workflow.Context, st *step) error {
	if !s.in.takes(st) {
		return nil
	}
	s.undos = append(s.undos, st)
	if st.added && s.in.Confirmed && !s.confirmed {
		return nil
	}
	do := s.doing(st)
	if decided, err := s.inline(ctx, st.title, do); decided {
		return err
	}
	entry := s.progress.begin(st.title)
	attempt := s.stalls.begin(ctx, st.title, stepStalls, stepParks)
	err := do(forStep(ctx, st.title))
	s.stalls.end(attempt)
	s.progress.end(entry, err)
	return err
}

// doing is the step's call under its key.
func (s *saga) doing(st *step) func(ctx workflow.Context) error {
	return func(ctx workflow.Context) error { return st.do(ctx, s, s.key(st.key)) }
}

// inline tries a forward step beside the saga, where it is to be tried at all. What it does not decide is asked for where its service
// runs. Nobody watches over the attempt: it is over before anybody would be told. Undos are never inline: they have to be seen, and
// to be patient.
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

// completeStep takes the step that can't be refused any more.
func (s *saga) completeStep(ctx workflow.Context, st *step) error {
	do := s.doing(st)
	if decided, err := s.inline(ctx, st.title, do); decided && err == nil {
		return nil
	}
	return s.retryForever(ctx, st.title, do)
}

// retryForever runs what must succeed, however long it takes: undos, and the moves to an end. It only returns an error when the
// workflow itself is being torn down.
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
		// Attempts have no end of their own: this failure says that trying again will not help until somebody mends something.
		s.stalls.park(attempt, activities.Reason(err))
		if err := workflow.NewTimerWithOptions(ctx, pause,
			workflow.TimerOptions{Summary: "Parked: " + attempt.title}).Get(ctx, nil); err != nil {
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
			// An error means that the workflow is being torn down.
			_ = s.retryForeverAs(ctx, attempt, func(ctx workflow.Context) error { return st.undo.do(ctx, s, s.key(st.undo.key), s.key(st.key)) })
			done = true
		})
		_ = workflow.Await(ctx, func() bool { return done || attempt.parked() })
	}
	all.Wait(ctx)
}

func (s *saga) finish(state orders.State, reason string) (OrderResult, error) {
	s.progress.finish(state, reason)
	return OrderResult{State: state, Reason: reason}, nil
}

// notify lets the orders service, and with it everybody who listens, know what an operator should look at.
func (s *saga) notify(ctx workflow.Context, n attention) {
	s.progress.attend(n)
	// Telling is retried like everything else; what is refused for good would only be the order's own absence.
	_ = activities.Flag(forUndo(ctx, "Tell operators"), orders.Flag{
		OrderID: s.in.OrderID, At: workflow.Now(ctx), Attention: n.level, Step: n.step, Reason: n.reason,
	})
}
