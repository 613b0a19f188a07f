package workers

import (
	"context"
	"fmt"
	"sync"
	"time"

	"example.com/orderly/internal/orders"
)

// mostAhead is how many sagas may wait for their turn or be on their way to Temporal with nobody waiting for them. Beyond that whoever
// places an order waits for room, and so is slowed down to what can be done.
const mostAhead = 256

// ahead are the orders whose saga is being started while whoever placed them has an answer already.
type ahead struct {
	room     chan struct{} // holds one element for each
	lock     sync.Mutex
	open     bool // while Mark runs
	starting map[string]chan struct{}
	all      sync.WaitGroup
}

func newAhead() ahead {
	return ahead{room: make(chan struct{}, mostAhead), starting: map[string]chan struct{}{}}
}

// StartSoon is Start without waiting for Temporal: an order is accepted once it is committed, and what becomes of the start changes
// nothing for the customer. It waits when too many are on their way, and its error is that of ctx then. A start that fails, or is lost
// with the process, is left to the sweep.
func (s *Starter) StartSoon(ctx context.Context, order orders.Order) error {
	started, err := s.ahead.begin(ctx, order.ID)
	if err != nil {
		return fmt.Errorf("start the saga of order %s: too many are just being started: %w", order.ID, err)
	}
	if started == nil {
		return s.Start(ctx, order)
	}
	go func() {
		defer s.ahead.end(order.ID, started)
		if err := s.Start(context.WithoutCancel(ctx), order); err != nil {
			s.log.WarnContext(ctx, "the saga was not started and is left to the sweep", "order_id", order.ID, "error", err)
		}
	}()
	return nil
}

// begin waits for room and returns what is closed when the start is over, or nil where somebody has to wait for the start.
func (a *ahead) begin(ctx context.Context, orderID string) (chan struct{}, error) {
	select {
	case a.room <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	a.lock.Lock()
	defer a.lock.Unlock()
	if !a.open || a.starting[orderID] != nil {
		<-a.room
		return nil, nil
	}
	started := make(chan struct{})
	a.starting[orderID] = started
	a.all.Add(1)
	return started, nil
}

func (a *ahead) end(orderID string, started chan struct{}) {
	a.lock.Lock()
	defer a.lock.Unlock()
	delete(a.starting, orderID)
	close(started)
	<-a.room
	a.all.Done()
}

// over returns when the order is not being started any more, or with ctx.
func (a *ahead) over(ctx context.Context, orderID string) {
	a.lock.Lock()
	started := a.starting[orderID]
	a.lock.Unlock()
	if started == nil {
		return
	}
	select {
	case <-started:
	case <-ctx.Done():
	}
}

// is tells whether the order is being started.
func (a *ahead) is(orderID string) bool {
	a.lock.Lock()
	defer a.lock.Unlock()
	return a.starting[orderID] != nil
}

// wait returns when no order is being started any more, or after longest: the others are left to the sweep.
func (a *ahead) wait(longest time.Duration) {
	over := make(chan struct{})
	go func() { a.all.Wait(); close(over) }()
	select {
	case <-over:
	case <-time.After(longest):
	}
}

func (a *ahead) setOpen(open bool) {
	a.lock.Lock()
	defer a.lock.Unlock()
	a.open = open
}
