package workers

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.temporal.io/sdk/temporal"

	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/temporalstatus"
	"example.com/orderly/workflows"
)

const (
	// startTimeout bounds one start. A shorter one would cost time: Temporal's answer carries the saga's first workflow task, and if the
	// answer comes too late, Temporal gives that task to another worker only after its time-out of ten seconds. It also bounds how long a
	// process that stops goes on starting sagas.
	startTimeout = 5 * time.Second
	// breakerPause is how long the circuit breaker refuses starts after Temporal did not answer, so that an outage does not slow down
	// every order by startTimeout.
	breakerPause = time.Second

	// markLinger is how long the first of a batch of marks waits for others. It is far below sweepAge, after which the Sweeper asks
	// Temporal to start an unmarked order once more.
	markLinger  = 50 * time.Millisecond
	markBatch   = 500
	markTimeout = 5 * time.Second
)

// Run starts the sagas of the queued orders and marks those orders, until ctx ends. It then goes on for at most startTimeout with what is
// queued, leaves the rest to the Sweeper, and returns nil. It may be called once.
func (s *Starter) Run(ctx context.Context) error {
	starting, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(startTimeout, cancel) })()
	started := make(chan string, markBatch)
	var marking, workers sync.WaitGroup
	marking.Go(func() { s.markInBatches(context.WithoutCancel(ctx), started) })
	for range startsAtOnce() {
		workers.Go(func() { s.work(starting, ctx.Done(), started) })
	}
	workers.Wait()
	s.close()
	close(started)
	marking.Wait()
	return nil
}

// work starts one saga after the other until ctx ends, or until the queue is empty once stopping is closed.
func (s *Starter) work(ctx context.Context, stopping <-chan struct{}, started chan<- string) {
	for ctx.Err() == nil {
		select {
		case st := <-s.queue:
			s.serve(ctx, st, started)
		case <-stopping:
			select {
			case st := <-s.queue:
				s.serve(ctx, st, started)
			default:
				return
			}
		}
	}
}

// serve starts one saga. If the saga runs inline, serve returns when the saga has ended, or slotHold after Temporal accepted it. The time
// that the start itself takes does not count, since otherwise more sagas would be started just when Temporal is slow.
func (s *Starter) serve(ctx context.Context, st *start, started chan<- string) {
	defer s.remove(st)
	inline, err := s.startSaga(ctx, st)
	st.settle(err)
	if err != nil {
		if !st.again { // Enqueue has returned and does not report the error
			s.log.WarnContext(ctx, "the saga was not started and is left to the sweep", "order_id", st.order.ID, "error", err)
		}
		return
	}
	started <- st.order.ID
	if !inline {
		return
	}
	hold := time.NewTimer(s.slotHold)
	defer hold.Stop()
	select {
	case <-st.sagaEnded:
	case <-hold.C:
	case <-ctx.Done():
	}
}

// startSaga asks Temporal to start the saga. inline says that it was started just now and runs inline.
func (s *Starter) startSaga(ctx context.Context, st *start) (inline bool, err error) {
	if s.breakerOpen() { // it opened after st was queued
		return false, errAway(st.order.ID)
	}
	c := s.temporal.Load()
	in := workflows.InputFor(st.order, c.searchable, s.inline.Load(), st.again)
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	_, err = c.client.ExecuteWorkflow(ctx, in.StartOptions(), workflows.OrderWorkflow, in)
	switch v := temporalstatus.Judge(err); {
	case err == nil, temporal.IsWorkflowExecutionAlreadyStartedError(err):
		s.answered.Store(int64(s.passed()))
		return err == nil && in.Inline, nil
	case v.Means != temporalstatus.Ours:
		// A Temporal that has just answered another start is up, only busy.
		if passed := s.passed(); passed-time.Duration(s.answered.Load()) >= startTimeout {
			s.breakerUntil.Store(int64(passed + breakerPause))
		}
		return false, fmt.Errorf("start the saga of order %s: %w: %w (%s)", st.order.ID,
			fault.New(fault.Unavailable, codeUnavailable, "Temporal takes no sagas now"), err, v.Why)
	default:
		return false, fmt.Errorf("start the saga of order %s: %w", st.order.ID, err)
	}
}

// breakerOpen reports whether Temporal did not answer within the last breakerPause.
func (s *Starter) breakerOpen() bool { return int64(s.passed()) < s.breakerUntil.Load() }

// passed is how much time has passed since the starter was made.
func (s *Starter) passed() time.Duration { return s.now().Sub(s.made) }

// markInBatches marks the orders whose sagas Temporal has accepted, many at a time, until started is closed. After a lost mark the Sweeper
// starts the saga again, and Temporal answers that it is already started.
func (s *Starter) markInBatches(ctx context.Context, started <-chan string) {
	for first := range started {
		ids := append([]string{first}, collect(started, markBatch-1, markLinger)...)
		s.mark(ctx, ids)
	}
}

func (s *Starter) mark(ctx context.Context, ids []string) {
	ctx, cancel := context.WithTimeout(ctx, markTimeout)
	defer cancel()
	if err := s.orders.MarkStarted(ctx, ids...); err != nil {
		s.log.WarnContext(ctx, "started sagas were not marked and will be found by the sweep", "count", len(ids), "error", err)
	}
}

// collect receives until it has most, linger has passed, or from is closed.
func collect(from <-chan string, most int, linger time.Duration) (all []string) {
	lingered := time.NewTimer(linger)
	defer lingered.Stop()
	for len(all) < most {
		select {
		case one, open := <-from:
			if !open {
				return all
			}
			all = append(all, one)
		case <-lingered.C:
			return all
		}
	}
	return all
}
