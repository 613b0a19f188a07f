package workers

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"go.temporal.io/sdk/client"

	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/orders"
	"example.com/orderly/workflows"
)

const (
	// maxAhead is how many orders may be accepted ahead of the start of their saga. Beyond that, placing an order waits for room, and so
	// is slowed down to the rate of the starts.
	maxAhead = 256
	// maxSlotHold is how long an inline saga may keep the worker that started it. After it the saga is assumed to be blocked or to have
	// fallen back to activities.
	maxSlotHold = time.Second
)

// startsAtOnce is how many workers start sagas. An inline saga keeps its worker until it ends: if all sagas of a rush ran at once, each
// would take so long that steps and starts exceed their time and are tried again, and the API would wait for the processor behind
// them. Eight for each processor keep it busy; 64 are enough to ask of one Temporal.
func startsAtOnce() int { return min(8*runtime.GOMAXPROCS(0), 64) }

// codeUnavailable is the code of what fails because Temporal is away.
const codeUnavailable = "temporal_unavailable"

// Starter starts sagas: orders wait in a queue, Run's workers start their sagas, and the orders whose saga was accepted are marked in
// batches. Temporal may be away, now or from the beginning: orders wait in their database meanwhile. What fails, or is lost with the
// process, is left to the Sweeper.
type Starter struct {
	orders   *orders.Service
	log      *slog.Logger
	now      func() time.Time
	temporal atomic.Pointer[connection]
	inline   atomic.Bool
	slotHold time.Duration

	// In nanoseconds since made, which a clock that is set does not change.
	made         time.Time
	breakerUntil atomic.Int64 // no start is tried before
	answered     atomic.Int64 // when Temporal last answered a start

	queue chan *start

	lock     sync.Mutex
	closed   bool              // Run's workers have ended, so nothing takes from the queue
	inFlight map[string]*start // by order id, from Enqueue or Start until serve returns
}

type connection struct {
	client     client.Client
	searchable bool
}

// start is one order on its way: it waits in the queue, its saga is being started, or its saga runs inline and keeps a worker.
type start struct {
	order orders.Order
	// again says that it comes from Start and not from Enqueue: an earlier saga of the order may have run.
	again     bool
	once      sync.Once
	settled   chan struct{} // closed when the start has succeeded or failed
	err       error         // set before settled is closed
	sagaEnded chan struct{} // receives once the saga has ended in this process
}

// settle gives the start's outcome to the calls that wait for it. Only the first call counts.
func (st *start) settle(err error) {
	st.once.Do(func() {
		st.err = err
		close(st.settled)
	})
}

// NewStarter returns a starter that has no Temporal yet.
func NewStarter(orders *orders.Service, log *slog.Logger, now func() time.Time) *Starter {
	s := &Starter{
		orders: orders, log: log, now: now, made: now(), slotHold: maxSlotHold,
		queue:    make(chan *start, maxAhead-startsAtOnce()), // each worker holds one more
		inFlight: map[string]*start{},
	}
	s.answered.Store(int64(-startTimeout)) // never
	return s
}

// Connect gives the starter its Temporal client; searchable says that the namespace knows our search attributes.
func (s *Starter) Connect(c client.Client, searchable bool) {
	s.temporal.Store(&connection{client: c, searchable: searchable})
}

// client is the Temporal client, or nil before Connect.
func (s *Starter) client() client.Client {
	if c := s.temporal.Load(); c != nil {
		return c.client
	}
	return nil
}

// Inline decides whether the sagas started from now on first try their steps as local activities. Only a process that runs every service
// can.
func (s *Starter) Inline(on bool) { s.inline.Store(on) }

// Enqueue queues the start of the saga of an order that the caller has just placed, so that this is its first saga. It does not wait for
// Temporal: an order is accepted once it is committed, and a failed start changes nothing for the customer. It waits while too many are
// queued, and its error is that of ctx then. Unavailable when Temporal is known to be away.
func (s *Starter) Enqueue(ctx context.Context, order orders.Order) error {
	_, err := s.enqueue(ctx, order, false)
	return err
}

// Start starts the saga of an order that may have had one before, and returns once Temporal has accepted it or has it already. Idempotent
// by the order's id. Unavailable when Temporal does not answer.
func (s *Starter) Start(ctx context.Context, order orders.Order) error {
	st, err := s.enqueue(ctx, order, true)
	if err != nil {
		return err
	}
	select {
	case <-st.settled:
		return st.err
	case <-ctx.Done():
		return fmt.Errorf("start the saga of order %s: %w", order.ID, context.Cause(ctx))
	}
}

// Await returns nil when the order's saga has completed. The error is that of ctx, or Temporal's: the saga has failed or was terminated, or
// was never started. Unavailable before Connect.
func (s *Starter) Await(ctx context.Context, orderID string) error {
	c := s.client()
	if c == nil {
		return fault.New(fault.Unavailable, codeUnavailable, "Temporal is not there")
	}
	if st := s.find(orderID); st != nil {
		select {
		case <-st.settled:
		case <-ctx.Done():
		}
	}
	return c.GetWorkflow(ctx, workflows.OrderWorkflowID(orderID), "").Get(ctx, nil)
}

// find returns the order's start while it is in flight, else nil.
func (s *Starter) find(orderID string) *start {
	s.lock.Lock()
	defer s.lock.Unlock()
	return s.inFlight[orderID]
}

// enqueue puts the order into the queue, or finds it in flight: starts of one saga at once are one start.
func (s *Starter) enqueue(ctx context.Context, order orders.Order, again bool) (*start, error) {
	if s.client() == nil || s.breakerOpen() {
		return nil, errAway(order.ID)
	}
	s.lock.Lock()
	if s.closed {
		s.lock.Unlock()
		return nil, errAway(order.ID)
	}
	st, found := s.inFlight[order.ID]
	if !found {
		st = &start{order: order, again: again, settled: make(chan struct{}), sagaEnded: make(chan struct{}, 1)}
		s.inFlight[order.ID] = st
	}
	s.lock.Unlock()
	if found {
		return st, nil
	}
	select {
	case s.queue <- st:
		return st, nil
	case <-st.settled: // Run's workers have ended
		return nil, st.err
	case <-ctx.Done():
		s.remove(st)
		st.settle(fmt.Errorf("start the saga of order %s: too many are queued: %w", order.ID, context.Cause(ctx)))
		return nil, st.err
	}
}

func (s *Starter) remove(st *start) {
	s.lock.Lock()
	defer s.lock.Unlock()
	delete(s.inFlight, st.order.ID)
}

// close fails what is still queued, and what will be.
func (s *Starter) close() {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.closed = true
	for id, st := range s.inFlight {
		st.settle(errAway(id))
	}
}

func errAway(orderID string) error {
	return fault.New(fault.Unavailable, codeUnavailable, "the saga of order %s can't be started now; it starts later", orderID)
}
