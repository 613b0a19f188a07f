package orders_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/events"
	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/orders"
	"example.com/orderly/internal/testenv"
)

func TestFlag(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		s := openShop(t, open)
		flag := func(t *testing.T, id string, attention orders.Attention, step, reason string) {
			t.Helper()
			require.NoError(t, s.Flag(s.ctx, orders.Flag{OrderID: id, Attention: attention, Step: step, Reason: reason}))
		}

		t.Run("parking and resuming are announced once each", func(t *testing.T) {
			o := s.confirmed(t)
			for range 2 {
				flag(t, o.ID, orders.Parked, "capture", "payments_down")
			}
			requireLast(t, s, o.ID, 3, events.OrderParked{OrderID: o.ID, Step: "capture", Reason: "payments_down"})
			parked := s.get(t, o.ID)
			require.Equal(t, orders.Parked, parked.Attention)
			require.Equal(t, "capture", parked.AttentionStep)
			require.Equal(t, "payments_down", parked.AttentionReason)
			for range 2 {
				flag(t, o.ID, orders.NoAttention, "", "")
			}
			requireLast(t, s, o.ID, 4, events.OrderResumed{OrderID: o.ID, Step: "capture"})
			require.Equal(t, orders.NoAttention, s.get(t, o.ID).Attention)

			flag(t, o.ID, orders.Parked, "capture", "payments_down")
			require.Len(t, s.announced(t, o.ID), 5, "parked again is news again")
		})

		t.Run("stalling is shown and not announced", func(t *testing.T) {
			o := s.place(t)
			flag(t, o.ID, orders.Stalled, "reserve", "inventory_down")
			require.Equal(t, orders.Stalled, s.get(t, o.ID).Attention)
			flag(t, o.ID, orders.NoAttention, "", "")
			require.Len(t, s.announced(t, o.ID), 1)
		})

		t.Run("a stalled order can be parked and a parked one stalled", func(t *testing.T) {
			o := s.place(t)
			flag(t, o.ID, orders.Stalled, "reserve", "inventory_down")
			flag(t, o.ID, orders.Parked, "reserve", "inventory_down")
			flag(t, o.ID, orders.Stalled, "reserve", "inventory_down")
			require.Equal(t, []string{"order.created.v1", "order.parked.v1", "order.resumed.v1"}, s.announcedTypes(t, o.ID))
		})

		t.Run("a late attempt to flag does not undo a later one", func(t *testing.T) {
			o := s.place(t)
			at := s.box.Now()
			parked := orders.Flag{OrderID: o.ID, At: at, Attention: orders.Parked, Step: "reserve", Reason: "inventory_down"}
			require.NoError(t, s.Flag(s.ctx, parked))
			require.NoError(t, s.Flag(s.ctx, orders.Flag{OrderID: o.ID, At: at.Add(time.Second)}))
			require.NoError(t, s.Flag(s.ctx, parked))
			require.Equal(t, orders.NoAttention, s.get(t, o.ID).Attention)
			require.Equal(t, []string{"order.created.v1", "order.parked.v1", "order.resumed.v1"}, s.announcedTypes(t, o.ID))
		})

		t.Run("another reason is news", func(t *testing.T) {
			o := s.place(t)
			flag(t, o.ID, orders.Parked, "void", "no_answer")
			flag(t, o.ID, orders.Parked, "void", "unknown_intent")
			require.Equal(t, "unknown_intent", s.get(t, o.ID).AttentionReason)
		})

		t.Run("confirming leaves the flag to be cleared, and that is announced", func(t *testing.T) {
			o := s.place(t)
			flag(t, o.ID, orders.Parked, "authorise", "no_answer")
			require.NoError(t, s.Confirm(s.ctx, s.move(o.ID, "confirm", "")))
			require.Equal(t, orders.Parked, s.get(t, o.ID).Attention)
			flag(t, o.ID, orders.NoAttention, "", "")
			require.Equal(t, []string{"order.created.v1", "order.parked.v1", "order.confirmed.v1", "order.resumed.v1"},
				s.announcedTypes(t, o.ID))
		})

		t.Run("an end clears the flag and is never flagged", func(t *testing.T) {
			o := s.place(t)
			flag(t, o.ID, orders.Parked, "release", "inventory_down")
			require.NoError(t, s.Reject(s.ctx, s.move(o.ID, "reject", "out_of_stock")))
			end := s.get(t, o.ID)
			require.Equal(t, orders.NoAttention, end.Attention)
			require.Empty(t, end.AttentionStep+end.AttentionReason)
			for _, attention := range []orders.Attention{orders.Parked, orders.Stalled, orders.NoAttention} {
				flag(t, o.ID, attention, "release", "inventory_down")
			}
			require.Equal(t, end, s.get(t, o.ID))
			require.Equal(t, []string{"order.created.v1", "order.parked.v1", "order.rejected.v1"}, s.announcedTypes(t, o.ID))
		})

		t.Run("parked by many at once is announced once", func(t *testing.T) {
			for range 10 {
				o := s.place(t)
				errs := make([]error, 8)
				work := make([]func(int), len(errs))
				for i := range work {
					work[i] = func(i int) {
						errs[i] = s.Flag(s.ctx, orders.Flag{OrderID: o.ID, Attention: orders.Parked, Step: "release", Reason: "inventory_down"})
					}
				}
				atOnce(work...)
				require.NoError(t, errors.Join(errs...))
				require.Equal(t, []string{"order.created.v1", "order.parked.v1"}, s.announcedTypes(t, o.ID))
			}
		})

		t.Run("an order that is not there is not found", func(t *testing.T) {
			err := s.Flag(s.ctx, orders.Flag{OrderID: "unknown", Attention: orders.Parked})
			requireFault(t, err, fault.NotFound, "order_not_found")
		})
	})
}
