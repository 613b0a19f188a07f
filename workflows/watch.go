package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"example.com/orderly/internal/orders"
)

// watch looks after what is running: what keeps failing for too long is flagged, once, and cleared when it moves again. It
// costs a healthy saga one timer.
type watch struct {
	running []*attempt
	told    notice
	tell    func(ctx workflow.Context, n notice)
}

// attempt is one thing being tried, with how long it may take before it counts as stalled and as parked.
type attempt struct {
	title  string
	since  time.Time
	stalls time.Duration
	parks  time.Duration
	level  orders.Attention
	reason string
}

// notice is what operators are told about the whole order.
type notice struct {
	attention orders.Attention
	step      string
	reason    string
}

func newWatch(ctx workflow.Context, tell func(ctx workflow.Context, n notice)) *watch {
	w := &watch{tell: tell}
	// Both outlive a cancellation of the workflow: what comes after it is watched too.
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	workflow.Go(ctx, w.look)
	workflow.Go(ctx, w.speak)
	return w
}

func (w *watch) begin(ctx workflow.Context, title string, stalls, parks time.Duration) *attempt {
	a := &attempt{title: title, since: workflow.Now(ctx), stalls: stalls, parks: parks}
	w.running = append(w.running, a)
	return a
}

func (w *watch) end(ended *attempt) {
	for i, a := range w.running {
		if a == ended {
			w.running = append(w.running[:i], w.running[i+1:]...)
			return
		}
	}
}

// park flags the attempt at once.
func (w *watch) park(a *attempt, reason string) {
	a.level, a.reason = orders.Parked, reason
}

func (a *attempt) parked() bool { return a.level == orders.Parked }

// settle waits until operators have been told how things stand, so that the last word about an order is not a flag. It does not
// wait for ever: an order whose end only waits for a flag would be worse off than one that ends with it.
func (w *watch) settle(ctx workflow.Context) {
	told := func() bool { return w.worst() == w.told }
	if told() {
		return
	}
	_, _ = workflow.AwaitWithOptions(ctx, workflow.AwaitOptions{
		Timeout: settlePatience, TimerOptions: workflow.TimerOptions{Summary: "Telling operators"},
	}, told)
}

// look raises the level of what has been running too long.
func (w *watch) look(ctx workflow.Context) {
	for {
		_ = workflow.Await(ctx, func() bool { return !w.nextDue().IsZero() })
		// What starts during this sleep stalls no earlier than the sleep ends: no sleep is longer than stepStalls.
		pause := min(w.nextDue().Sub(workflow.Now(ctx)), stepStalls)
		if err := workflow.NewTimerWithOptions(ctx, max(pause, time.Second),
			workflow.TimerOptions{Summary: "Is a step stalled?"}).Get(ctx, nil); err != nil {
			return
		}
		for _, a := range w.running {
			if due := a.due(); due.IsZero() || due.After(workflow.Now(ctx)) {
				continue
			}
			if a.level == orders.NoAttention {
				a.level = orders.Stalled
			} else {
				a.level = orders.Parked
			}
			a.reason = "no_answer"
		}
	}
}

// due is when the attempt's level rises next; zero when it can't.
func (a *attempt) due() time.Time {
	switch a.level {
	case orders.NoAttention:
		return a.since.Add(a.stalls)
	case orders.Stalled:
		return a.since.Add(a.parks)
	default:
		return time.Time{}
	}
}

func (w *watch) nextDue() time.Time {
	var next time.Time
	for _, a := range w.running {
		if due := a.due(); next.IsZero() || (!due.IsZero() && due.Before(next)) {
			next = due
		}
	}
	return next
}

// speak tells operators about every change, in order.
func (w *watch) speak(ctx workflow.Context) {
	for {
		if err := workflow.Await(ctx, func() bool { return w.worst() != w.told }); err != nil {
			return
		}
		n := w.worst()
		w.tell(ctx, n)
		w.told = n
	}
}

func (w *watch) worst() notice {
	var worst notice
	for _, a := range w.running {
		if a.parked() || (a.level == orders.Stalled && worst.attention == orders.NoAttention) {
			worst = notice{attention: a.level, step: a.title, reason: a.reason}
		}
		if a.parked() {
			break
		}
	}
	return worst
}
