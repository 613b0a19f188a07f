package workflows

import (
	"go.temporal.io/sdk/workflow"

	"example.com/orderly/activities"
	"example.com/orderly/internal/inventory"
	"example.com/orderly/internal/orders"
	"example.com/orderly/internal/payments"
)

// saga is one run of the order workflow: what has been done, what would undo it, and what there is to see.
type saga struct {
	in        OrderInput
	workflow  string // the workflow's id, which begins every key
	confirmed bool
	undos     []undo
	story     *story
	watch     *watch
}

type undo struct {
	title string
	do    func(ctx workflow.Context) error
}

func newSaga(ctx workflow.Context, in OrderInput) *saga {
	s := &saga{in: in, workflow: workflow.GetInfo(ctx).WorkflowExecution.ID}
	s.story = newStory(ctx, in)
	s.watch = newWatch(ctx, s.tell)
	return s
}

// key names a step for ever, whichever run, attempt or worker asks: services and the payment provider do each key once.
func (s *saga) key(step string) string { return s.workflow + ":" + step }

func (s *saga) releaseStock() undo {
	return undo{"Release stock", func(ctx workflow.Context) error {
		return activities.Release(ctx, inventory.Release{Key: s.key("release"), Undoes: s.key("reserve"), OrderID: s.in.OrderID})
	}}
}

func (s *saga) voidPayment() undo {
	return undo{"Void payment", func(ctx workflow.Context) error {
		return activities.Void(ctx, payments.Undo{Key: s.key("void"), Undoes: s.key("authorize"), OrderID: s.in.OrderID})
	}}
}

func (s *saga) refundPayment() undo {
	return undo{"Refund payment", func(ctx workflow.Context) error {
		return activities.Refund(ctx, payments.Undo{Key: s.key("refund"), Undoes: s.key("capture"), OrderID: s.in.OrderID})
	}}
}

// standing asks the orders service how the order stands.
func (s *saga) standing(ctx workflow.Context) (standing activities.Standing, err error) {
	err = s.insist(ctx, "Look up order", func(ctx workflow.Context) (err error) {
		standing, err = activities.LookUp(ctx, s.in.OrderID)
		return err
	})
	return standing, err
}

// step runs one forward step until the answer is yes (nil) or no. An error is the business's no, the cancellation of the
// workflow, or a failure that no retry will mend.
func (s *saga) step(ctx workflow.Context, title string, do func(ctx workflow.Context) error) error {
	if decided, err := s.inline(ctx, title, do); decided {
		return err
	}
	entry := s.story.begin(title)
	attempt := s.watch.begin(ctx, title, stepStalls, stepParks)
	err := do(forStep(ctx, title))
	s.watch.end(attempt)
	s.story.end(entry, err)
	return err
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
	s.story.end(s.story.begin(title), err)
	return true, err
}

// last runs the step that can't be refused any more.
func (s *saga) last(ctx workflow.Context, title string, do func(ctx workflow.Context) error) error {
	if decided, err := s.inline(ctx, title, do); decided && err == nil {
		return nil
	}
	return s.insist(ctx, title, do)
}

// insist runs what must succeed, however long it takes: undos, and the moves to an end. It only returns an error when the
// workflow itself is being torn down.
func (s *saga) insist(ctx workflow.Context, title string, do func(ctx workflow.Context) error) error {
	return s.insistAs(ctx, s.watch.begin(ctx, title, stepStalls, undoParks), do)
}

func (s *saga) insistAs(ctx workflow.Context, attempt *attempt, do func(ctx workflow.Context) error) error {
	entry := s.story.begin(attempt.title)
	defer s.watch.end(attempt)
	for pause := parkedPause; ; pause = min(2*pause, maxParkedPause) {
		err := do(forUndo(ctx, attempt.title))
		if err == nil {
			s.story.end(entry, nil)
			return nil
		}
		// Attempts have no end of their own: this failure says that trying again will not help until somebody mends something.
		s.watch.park(attempt, activities.Reason(err))
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
	for i := len(s.undos) - 1; i >= 0; i-- {
		done, u := false, s.undos[i]
		attempt := s.watch.begin(ctx, u.title, stepStalls, undoParks)
		all.Add(1)
		workflow.Go(ctx, func(ctx workflow.Context) {
			defer all.Done()
			_ = s.insistAs(ctx, attempt, u.do) // an error means that the workflow is being torn down
			done = true
		})
		_ = workflow.Await(ctx, func() bool { return done || attempt.parked() })
	}
	all.Wait(ctx)
}

func (s *saga) finish(state orders.State, reason string) (OrderResult, error) {
	s.story.finish(state, reason)
	return OrderResult{State: state, Reason: reason}, nil
}

// tell lets the orders service, and with it everybody who listens, know what an operator should look at.
func (s *saga) tell(ctx workflow.Context, n notice) {
	s.story.attend(n)
	// Telling is retried like everything else; what is refused for good would only be the order's own absence.
	_ = activities.Flag(forUndo(ctx, "Tell operators"), orders.Flag{
		OrderID: s.in.OrderID, At: workflow.Now(ctx), Attention: n.attention, Step: n.step, Reason: n.reason,
	})
}
