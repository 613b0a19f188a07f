package orders_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/orders"
	"example.com/orderly/internal/testenv"
)

func TestGetOwnedHidesOthersOrders(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		s := openShop(t, open)
		order := s.place(t)
		own, err := s.GetOwned(s.ctx, customer, order.ID)
		require.NoError(t, err)
		require.Equal(t, order, own)

		absent := uuid.NewString()
		_, unknown := s.GetOwned(s.ctx, customer, absent)
		for _, asked := range []struct{ customer, id string }{
			{"customer-2", order.ID}, {"", order.ID}, {customer, "nonsense"}, {customer, "x\x00"}, {customer, "\xff"}, {customer, ""},
		} {
			hidden, err := s.GetOwned(s.ctx, asked.customer, asked.id)
			requireFault(t, err, fault.NotFound, "order_not_found")
			require.Equal(t, fault.New(fault.NotFound, "order_not_found", "there is no order %s", asked.id), err)
			require.Zero(t, hidden)
		}
		require.Equal(t, fault.New(fault.NotFound, "order_not_found", "there is no order %s", absent), unknown)
	})
}

func TestUnstartedFindsOrdersNobodySawStart(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		s := openShop(t, open)
		unstarted := func(age time.Duration, limit int) []orders.Order {
			found, err := s.Unstarted(s.ctx, age, limit)
			require.NoError(t, err)
			return found
		}
		require.Empty(t, unstarted(0, 10))
		first := s.place(t)
		s.advance(3 * time.Second)
		second := s.place(t)
		s.advance(2 * time.Second)

		require.Empty(t, unstarted(6*time.Second, 10))
		require.Equal(t, []orders.Order{first}, unstarted(5*time.Second, 10))
		require.Equal(t, []orders.Order{first, second}, unstarted(2*time.Second, 10))
		require.Equal(t, []orders.Order{first}, unstarted(0, 1))

		require.NoError(t, s.MarkStarted(s.ctx, first.ID))
		s.advance(time.Hour)
		require.NoError(t, s.MarkStarted(s.ctx, first.ID))
		require.Equal(t, []orders.Order{second}, unstarted(0, 10))
		var marks int
		require.NoError(t, s.db.Get(s.ctx, &marks, `SELECT COUNT(*) FROM orders WHERE saga_started_at < ?`,
			opened.Add(time.Minute)), "the second mark moved the first")
		require.Equal(t, 1, marks)
		require.Equal(t, first, s.get(t, first.ID), "marking is no change of the order")
	})
}
