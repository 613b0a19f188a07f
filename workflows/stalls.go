package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"example.com/orderly/internal/orders"
)

// stallMonitor flags the order while an attempt keeps failing for too long, and clears the flag when the attempt has succeeded. It costs
// a healthy saga one timer.
type stallMonitor struct {
	running  []*attempt
	notified attention // what operators were last told
	notify   func(ctx workflow.Context, a attention)
}

// attempt is a step, an undo or a move that is being retried, with how long it may take before it counts as stalled and as parked.
type attempt struct {
	title       string
	since       time.Time
	stallsAfter time.Duration
	parksAfter  time.Duration
	level       orders.Attention
	reason      string
}

// attention is what operators are told about the whole order.
type attention struct {
	level  orders.Attention
	step   string
	reason string
}

func newStallMonitor(ctx workflow.Context, notify func(ctx workflow.Context, a attention)) *stallMonitor {
	m := &stallMonitor{notify: notify}
	// Both outlive a cancellation of the workflow, because the undos that follow it can stall as well.
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	workflow.Go(ctx, m.raiseLevels)
	workflow.Go(ctx, m.notifyChanges)
	return m
}

func (m *stallMonitor) begin(ctx workflow.Context, title string, stallsAfter, parksAfter time.Duration) *attempt {
	a := &attempt{title: title, since: workflow.Now(ctx), stallsAfter: stallsAfter, parksAfter: parksAfter}
	m.running = append(m.running, a)
	return a
}

func (m *stallMonitor) end(ended *attempt) {
	for i, a := range m.running {
		if a == ended {
			m.running = append(m.running[:i], m.running[i+1:]...)
			return
		}
	}
}

// park flags the attempt at once, for a failure that retrying does not mend.
func (m *stallMonitor) park(a *attempt, reason string) {
	a.level, a.reason = orders.Parked, reason
}

func (a *attempt) parked() bool { return a.level == orders.Parked }

// flush waits, at most flushTimeout, until the latest attention flag is written, so that no stale flag follows the end of the order.
func (m *stallMonitor) flush(ctx workflow.Context) {
	told := func() bool { return m.worst() == m.notified }
	if told() {
		return
	}
	_, _ = workflow.AwaitWithOptions(ctx, workflow.AwaitOptions{
		Timeout: flushTimeout, TimerOptions: workflow.TimerOptions{Summary: "Telling operators"},
	}, told)
}

// raiseLevels marks attempts as stalled, then as parked, when they have been running for too long.
func (m *stallMonitor) raiseLevels(ctx workflow.Context) {
	for {
		_ = workflow.Await(ctx, func() bool { return !m.nextDue().IsZero() })
		// An attempt that begins during this timer stalls when the timer ends or later, because no timer is longer than stepStalls.
		pause := min(m.nextDue().Sub(workflow.Now(ctx)), stepStalls)
		if err := workflow.NewTimerWithOptions(ctx, max(pause, time.Second),
			workflow.TimerOptions{Summary: "Is a step stalled?"}).Get(ctx, nil); err != nil {
			return
		}
		for _, a := range m.running {
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
		return a.since.Add(a.stallsAfter)
	case orders.Stalled:
		return a.since.Add(a.parksAfter)
	default:
		return time.Time{}
	}
}

// nextDue is when the next level rises; zero when none can.
func (m *stallMonitor) nextDue() time.Time {
	var next time.Time
	for _, a := range m.running {
		if due := a.due(); next.IsZero() || (!due.IsZero() && due.Before(next)) {
			next = due
		}
	}
	return next
}

// notifyChanges tells operators about every change, in order.
func (m *stallMonitor) notifyChanges(ctx workflow.Context) {
	for {
		if err := workflow.Await(ctx, func() bool { return m.worst() != m.notified }); err != nil {
			return
		}
		a := m.worst()
		m.notify(ctx, a)
		m.notified = a
	}
}

// worst is the attention that the order as a whole needs: that of a parked attempt, else of a stalled one.
func (m *stallMonitor) worst() attention {
	var worst attention
	for _, a := range m.running {
		if a.parked() || (a.level == orders.Stalled && worst.level == orders.NoAttention) {
			worst = attention{level: a.level, step: a.title, reason: a.reason}
		}
		if a.parked() {
			break
		}
	}
	return worst
}
