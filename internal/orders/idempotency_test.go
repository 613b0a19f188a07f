package orders_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/orders"
	"example.com/orderly/internal/testenv"
)

func TestPlaceIsIdempotentByKey(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		s := openShop(t, open)

		t.Run("the same request gives the same order", func(t *testing.T) {
			p := s.anew()
			_, found, err := s.Repeated(s.ctx, p)
			require.NoError(t, err)
			require.False(t, found)
			first, _, err := s.Place(s.ctx, p)
			require.NoError(t, err)
			after := s.rows(t)

			again, repeated, err := s.Place(s.ctx, p)
			require.NoError(t, err)
			require.True(t, repeated)
			require.Equal(t, first, again)
			again, found, err = s.Repeated(s.ctx, p)
			require.NoError(t, err)
			require.True(t, found)
			require.Equal(t, first, again)
			require.Equal(t, after, s.rows(t))
		})

		t.Run("another request under the same key is refused", func(t *testing.T) {
			p := s.anew(orders.Wanted{SKU: "tea", Quantity: 1}, orders.Wanted{SKU: "mug", Quantity: 1})
			_, _, err := s.Place(s.ctx, p)
			require.NoError(t, err)
			after := s.rows(t)
			more, other, swapped := p, p, p
			more.Lines = []orders.Wanted{{SKU: "tea", Quantity: 2}, {SKU: "mug", Quantity: 1}}
			other.PaymentMethod = "pm_card_mastercard"
			swapped.Lines = []orders.Wanted{{SKU: "mug", Quantity: 1}, {SKU: "tea", Quantity: 1}}
			for _, p := range []orders.Placement{more, other, swapped} {
				_, _, err = s.Place(s.ctx, p)
				requireFault(t, err, fault.Invalid, "idempotency_key_reused")
				_, found, err := s.Repeated(s.ctx, p)
				requireFault(t, err, fault.Invalid, "idempotency_key_reused")
				require.False(t, found)
			}
			require.Equal(t, after, s.rows(t))
		})

		t.Run("the price of a repeated request is that of the first", func(t *testing.T) {
			p := s.anew(orders.Wanted{SKU: "pot", Quantity: 1})
			first, _, err := s.Place(s.ctx, p)
			require.NoError(t, err)
			s.exec(t, `UPDATE prices SET price_minor = 1200 WHERE sku = 'pot'`)
			again, repeated, err := s.Place(s.ctx, p)
			require.NoError(t, err)
			require.True(t, repeated)
			require.Equal(t, first, again)

			dearer, _, err := s.Place(s.ctx, s.anew(p.Lines...))
			require.NoError(t, err)
			require.Equal(t, "12.00 EUR", dearer.Total.String())
			s.exec(t, `DELETE FROM prices WHERE sku = 'pot'`)
			again, _, err = s.Place(s.ctx, p)
			require.NoError(t, err)
			require.Equal(t, first, again)
		})

		t.Run("another customer's same key makes another order", func(t *testing.T) {
			p := s.anew()
			mine, _, err := s.Place(s.ctx, p)
			require.NoError(t, err)
			p.CustomerID = "customer-2"
			theirs, repeated, err := s.Place(s.ctx, p)
			require.NoError(t, err)
			require.False(t, repeated)
			require.NotEqual(t, mine.ID, theirs.ID)
		})
	})
}

func TestPlaceAtOnceMakesOneOrder(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		s := openShop(t, open)
		p := s.anew()
		before := s.rows(t)
		type answer struct {
			order    orders.Order
			repeated bool
			err      error
		}
		answers := make([]answer, 20)
		start := make(chan struct{})
		var all sync.WaitGroup
		for i := range answers {
			all.Go(func() {
				<-start
				a := &answers[i]
				a.order, a.repeated, a.err = s.Place(s.ctx, p)
			})
		}
		close(start)
		all.Wait()

		fresh := 0
		for _, a := range answers {
			require.NoError(t, a.err)
			require.Equal(t, answers[0].order, a.order)
			if !a.repeated {
				fresh++
			}
		}
		require.Equal(t, 1, fresh)
		require.Equal(t, []string{"order.created.v1"}, s.announcedTypes(t, answers[0].order.ID))
		for _, table := range []string{"orders", "order_lines", "idempotency_keys", "outbox", "outbox_sequences"} {
			before[table]++
		}
		require.Equal(t, before, s.rows(t))
	})
}

func TestPruneKeysForgetsOldKeysAlone(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		s := openShop(t, open)
		old, recent := s.anew(), s.anew()
		first, _, err := s.Place(s.ctx, old)
		require.NoError(t, err)
		_, _, err = s.Place(s.ctx, s.anew())
		require.NoError(t, err)
		s.advance(time.Hour)
		kept, _, err := s.Place(s.ctx, recent)
		require.NoError(t, err)

		for _, want := range []int64{1, 1, 0} { // one at a time, as a limit of one asks
			deleted, err := s.PruneKeys(s.ctx, 59*time.Minute, 1)
			require.NoError(t, err)
			require.Equal(t, want, deleted)
		}
		again, repeated, err := s.Place(s.ctx, recent)
		require.NoError(t, err)
		require.True(t, repeated)
		require.Equal(t, kept.ID, again.ID)
		anew, repeated, err := s.Place(s.ctx, old)
		require.NoError(t, err)
		require.False(t, repeated)
		require.NotEqual(t, first.ID, anew.ID)
	})
}
