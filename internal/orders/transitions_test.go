package orders_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/orderly/events"
	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/orders"
	"example.com/orderly/internal/testenv"
)

const (
	// callOff is what a customer's cancellation does to the row.
	callOff = `UPDATE orders SET cancel_requested_at = created_at WHERE id = ? AND state = 'pending'`
	callOn  = `UPDATE orders SET cancel_requested_at = NULL WHERE id = ?`
)

// verb is one of the service's changes of state.
type verb struct {
	name     string
	from, to orders.State
	reason   string
	run      func(context.Context, orders.Move) error
}

func (s shop) verbs() []verb {
	return []verb{
		{"confirm", orders.Pending, orders.Confirmed, "", s.Confirm},
		{"complete", orders.Confirmed, orders.Completed, "", s.Complete},
		{"reject", orders.Pending, orders.Rejected, "out_of_stock", s.Reject},
		{"cancel", orders.Pending, orders.Cancelled, "cancel_requested", s.Cancel},
		{"reverse", orders.Confirmed, orders.Reversed, "capture_refused", s.Reverse},
	}
}

func (s shop) move(orderID, step, reason string) orders.Move {
	return orders.Move{Key: s.key(step), OrderID: orderID, Reason: reason}
}

func (s shop) confirmed(t *testing.T) orders.Order {
	t.Helper()
	order := s.place(t)
	require.NoError(t, s.Confirm(s.ctx, s.move(order.ID, "confirm", "")))
	return order
}

func TestEndsAreReachedFromTheirState(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		s := openShop(t, open)

		t.Run("completed", func(t *testing.T) {
			o := s.confirmed(t)
			requireLast(t, s, o.ID, 2, events.OrderConfirmed{OrderID: o.ID, CustomerID: customer, TotalMinor: 10_00, Currency: "EUR"})
			require.NoError(t, s.Complete(s.ctx, s.move(o.ID, "complete", "")))
			requireLast(t, s, o.ID, 3, events.OrderCompleted{OrderID: o.ID, CustomerID: customer, TotalMinor: 10_00, Currency: "EUR"})
			require.Equal(t, orders.Completed, s.get(t, o.ID).State)
		})
		t.Run("rejected", func(t *testing.T) {
			o := s.place(t)
			require.NoError(t, s.Reject(s.ctx, s.move(o.ID, "reject", "out_of_stock")))
			requireLast(t, s, o.ID, 2, events.OrderRejected{OrderID: o.ID, CustomerID: customer, Reason: "out_of_stock"})
			require.Equal(t, orders.Rejected, s.get(t, o.ID).State)
			require.Equal(t, "out_of_stock", s.get(t, o.ID).Reason)
		})
		t.Run("cancelled", func(t *testing.T) {
			o := s.place(t)
			require.NoError(t, s.Cancel(s.ctx, s.move(o.ID, "cancel", "cancel_requested")))
			requireLast(t, s, o.ID, 2, events.OrderCancelled{OrderID: o.ID, CustomerID: customer, Reason: "cancel_requested"})
			require.Equal(t, orders.Cancelled, s.get(t, o.ID).State)
		})
		t.Run("reversed", func(t *testing.T) {
			o := s.confirmed(t)
			require.NoError(t, s.Reverse(s.ctx, s.move(o.ID, "reverse", "capture_refused")))
			requireLast(t, s, o.ID, 3, events.OrderReversed{OrderID: o.ID, CustomerID: customer, Reason: "capture_refused"})
			require.Equal(t, orders.Reversed, s.get(t, o.ID).State)
		})
		require.Equal(t, map[string]int{
			"completed ": 1, "rejected out_of_stock": 1, "cancelled cancel_requested": 1, "reversed capture_refused": 1,
		}, s.ended(t))

		t.Run("a change that cannot be announced is neither made nor counted", func(t *testing.T) {
			o := s.confirmed(t)
			complete, counted := s.move(o.ID, "complete", ""), s.ended(t)
			s.exec(t, `ALTER TABLE outbox RENAME TO elsewhere`)
			require.Error(t, s.Complete(s.ctx, complete))
			s.exec(t, `ALTER TABLE elsewhere RENAME TO outbox`)
			require.Equal(t, orders.Confirmed, s.get(t, o.ID).State)
			require.Equal(t, counted, s.ended(t))

			for range 2 {
				require.NoError(t, s.Complete(s.ctx, complete))
			}
			counted["completed "]++
			require.Equal(t, counted, s.ended(t))
		})

		t.Run("an order that is not there is not found", func(t *testing.T) {
			before := s.rows(t)
			for _, v := range s.verbs() {
				requireFault(t, v.run(s.ctx, s.move("unknown", v.name, v.reason)), fault.NotFound, "order_not_found")
			}
			require.Equal(t, before, s.rows(t))
		})
	})
}

func TestConfirmIsRefusedOnceTheOrderIsCalledOff(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		s := openShop(t, open)

		t.Run("and the refusal is recorded", func(t *testing.T) {
			o := s.place(t)
			s.exec(t, callOff, o.ID)
			confirm := s.move(o.ID, "confirm", "")
			requireFault(t, s.Confirm(s.ctx, confirm), fault.Declined, orders.CodeCancelRequested)
			require.Equal(t, orders.Pending, s.get(t, o.ID).State)

			s.exec(t, callOn, o.ID)
			requireFault(t, s.Confirm(s.ctx, confirm), fault.Declined, orders.CodeCancelRequested)
			require.Equal(t, orders.Pending, s.get(t, o.ID).State)
			require.Equal(t, []string{"order.created.v1"}, s.announcedTypes(t, o.ID))
			require.NoError(t, s.Confirm(s.ctx, s.move(o.ID, "confirm", "")), "the order itself can be confirmed")
		})

		t.Run("and it still can be cancelled or rejected", func(t *testing.T) {
			for _, v := range s.verbs()[2:4] {
				o := s.place(t)
				s.exec(t, callOff, o.ID)
				require.NoError(t, v.run(s.ctx, s.move(o.ID, v.name, v.reason)))
				require.Equal(t, v.to, s.get(t, o.ID).State)
			}
		})

		t.Run("and a race of the two has one winner", func(t *testing.T) {
			for range 10 {
				o := s.place(t)
				var confirmed, calledOff error
				var rows int64
				atOnce(
					func(int) { confirmed = s.Confirm(s.ctx, s.move(o.ID, "confirm", "")) },
					func(int) { rows, calledOff = s.db.Exec(s.ctx, callOff, o.ID) },
				)
				require.NoError(t, calledOff)
				if rows == 1 {
					requireFault(t, confirmed, fault.Declined, orders.CodeCancelRequested)
					continue
				}
				require.NoError(t, confirmed)
				require.Equal(t, orders.Confirmed, s.get(t, o.ID).State)
			}
		})
	})
}

func TestMovesAtOnceHaveOneWinner(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		s := openShop(t, open)
		for range 10 {
			o := s.place(t)
			verbs := s.verbs()
			keys := make([]orders.Move, len(verbs))
			for i, v := range verbs {
				keys[i] = s.move(o.ID, v.name, v.reason)
			}
			errs := make([]error, 4*len(verbs)) // four attempts of each under one key
			work := make([]func(int), len(errs))
			for i := range work {
				work[i] = func(i int) { errs[i] = verbs[i%len(verbs)].run(s.ctx, keys[i%len(verbs)]) }
			}
			atOnce(work...)
			for _, err := range errs {
				if err != nil {
					requireFault(t, err, fault.Conflict, "order_state")
				}
			}
			var want []string
			switch end := s.get(t, o.ID).State; end {
			case orders.Completed, orders.Reversed:
				want = []string{"order.created.v1", "order.confirmed.v1", "order." + string(end) + ".v1"}
			default:
				require.NotEqual(t, orders.Pending, end)
				want = []string{"order.created.v1", "order." + string(end) + ".v1"}
			}
			require.Equal(t, want, s.announcedTypes(t, o.ID))
		}
		total := 0
		for end, count := range s.ended(t) {
			require.False(t, strings.HasPrefix(end, "confirmed"))
			total += count
		}
		var ended int
		require.NoError(t, s.db.Get(s.ctx, &ended, `SELECT COUNT(*) FROM orders WHERE state NOT IN ('pending', 'confirmed')`))
		require.Equal(t, ended, total, "the counter of ends")
		require.Zero(t, s.db.Retries(), "transactions locked rows in different orders")
	})
}

// Only an order that was called off may hear so: a change that is a moment too early finds no record of it when it comes again.
func TestMoveThatMeetsTheConfirmationIsNotDeclined(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		s := openShop(t, open)
		for range 40 {
			o := s.place(t)
			complete := s.move(o.ID, "complete", "")
			var confirmed, early error
			atOnce(
				func(int) { confirmed = s.Confirm(s.ctx, s.move(o.ID, "confirm", "")) },
				func(int) {
					for early = s.Complete(s.ctx, complete); fault.KindOf(early) == fault.Conflict; {
						early = s.Complete(s.ctx, complete)
					}
				},
			)
			require.NoError(t, confirmed)
			require.NoError(t, early)
		}
	})
}

// atOnce runs all the work at the same moment and waits for it; each is told its place.
func atOnce(work ...func(i int)) {
	start := make(chan struct{})
	var all sync.WaitGroup
	for i, do := range work {
		all.Go(func() {
			<-start
			do(i)
		})
	}
	close(start)
	all.Wait()
}
