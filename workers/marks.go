package workers

import (
	"context"
	"sync/atomic"
	"time"
)

const (
	// markLinger is how long the first of a batch of marks waits for others. It is far below sweepAge, after which an unmarked order
	// is started again for nothing.
	markLinger  = 50 * time.Millisecond
	markBatch   = 500
	markTimeout = 5 * time.Second
)

// marks are orders whose saga was accepted and for which that has not been written down yet.
type marks struct {
	started chan string
	open    atomic.Bool // while Mark runs
}

// mark writes down that the order's saga was accepted, or leaves that to Mark. A mark that is lost is no harm: the sweep asks Temporal
// again and finds the saga.
func (s *Starter) mark(ctx context.Context, orderID string) error {
	if s.marks.open.Load() {
		select {
		case s.marks.started <- orderID:
			return nil
		default: // more than the database takes
		}
	}
	return s.orders.MarkStarted(ctx, orderID)
}

// Mark writes down many started sagas at a time, so that no order waits for its own, until ctx ends; it then waits a moment
// for those that are just being started.
func (s *Starter) Mark(ctx context.Context) error {
	s.marks.open.Store(true)
	s.ahead.setOpen(true)
	for ctx.Err() == nil {
		select {
		case first := <-s.marks.started:
			sleep(ctx, nil, markLinger)
			s.markAll(ctx, first)
		case <-ctx.Done():
		}
	}
	s.ahead.setOpen(false)
	s.ahead.wait(startTimeout)
	s.marks.open.Store(false)
	s.markAll(ctx)
	return nil
}

// markAll writes down what has come together.
func (s *Starter) markAll(ctx context.Context, ids ...string) {
	for len(ids) < markBatch {
		select {
		case id := <-s.marks.started:
			ids = append(ids, id)
			continue
		default:
		}
		break
	}
	if len(ids) == 0 {
		return
	}
	// Also when the process is told to stop.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), markTimeout)
	defer cancel()
	if err := s.orders.MarkStarted(ctx, ids...); err != nil {
		s.log.WarnContext(ctx, "started sagas were not marked and will be found by the sweep", "count", len(ids), "error", err)
	}
}
