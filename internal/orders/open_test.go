package orders_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/orders"
	"example.com/orderly/internal/testenv"
)

func TestACustomersOpenOrdersAreBounded(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		s := openShop(t, open)
		ask := func() orders.Placement {
			p := s.anew()
			p.MostOpen = 2
			return p
		}
		first := ask()
		one, _, err := s.Place(s.ctx, first)
		require.NoError(t, err)
		two, _, err := s.Place(s.ctx, ask())
		require.NoError(t, err)

		before := s.rows(t)
		_, _, err = s.Place(s.ctx, ask())
		requireFault(t, err, fault.Limited, "too_many_open_orders")
		limited, _ := fault.As(err)
		require.Positive(t, limited.RetryAfter)
		require.Equal(t, before, s.rows(t), "an order that was refused has left something behind")

		again, repeated, err := s.Place(s.ctx, first)
		require.NoError(t, err, "a repeated request is no further order")
		require.True(t, repeated)
		require.Equal(t, one.ID, again.ID)
		other := ask()
		other.CustomerID = "another customer"
		_, _, err = s.Place(s.ctx, other)
		require.NoError(t, err)

		require.NoError(t, s.Confirm(s.ctx, s.move(one.ID, "confirm", ""))) // paid for
		_, _, err = s.Place(s.ctx, ask())
		require.NoError(t, err)
		_, _, err = s.Place(s.ctx, ask())
		requireFault(t, err, fault.Limited, "too_many_open_orders")
		require.NoError(t, s.Reject(s.ctx, s.move(two.ID, "reject", "out_of_stock")))
		_, _, err = s.Place(s.ctx, ask())
		require.NoError(t, err)
	})
}

// Orders that are placed at once don't all find room for one more.
func TestOpenOrdersAtOnceStayBounded(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		s := openShop(t, open)
		const most = 3
		results := make([]error, 16)
		start := make(chan struct{})
		var all sync.WaitGroup
		for i := range results {
			all.Go(func() {
				p := s.anew()
				p.MostOpen = most
				<-start
				_, _, results[i] = s.Place(s.ctx, p)
			})
		}
		close(start)
		all.Wait()
		placed := 0
		for _, err := range results {
			if err == nil {
				placed++
				continue
			}
			requireFault(t, err, fault.Limited, "too_many_open_orders")
		}
		require.Equal(t, most, placed)
	})
}
