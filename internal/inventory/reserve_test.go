package inventory_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/orderly/events"
	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/inventory"
	"example.com/orderly/internal/step"
	"example.com/orderly/internal/testenv"
)

func TestReserve(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		openFull := func(t *testing.T) store {
			return openStore(t, open, quantity{"tea", 5}, quantity{"mug", 5}, quantity{"pot", 1})
		}

		t.Run("holds every line", func(t *testing.T) {
			s := openFull(t)
			r := s.reservation(quantity{"tea", 2}, quantity{"mug", 1})
			for range 2 { // and does so once, however often it is asked
				require.NoError(t, s.Reserve(s.ctx, r))
			}
			require.Equal(t, map[string]int64{"tea": 2, "mug": 1}, s.reserved(t))
			require.Len(t, s.announced(t, r.OrderID), 1)
			requireEvent(t, s, r.OrderID, 1, events.InventoryReserved{OrderID: r.OrderID, Lines: []events.Stock{
				{SKU: "mug", Quantity: 1}, {SKU: "tea", Quantity: 2},
			}})
		})

		t.Run("holds nothing when one line is out of stock", func(t *testing.T) {
			s := openFull(t)
			r := s.reservation(quantity{"mug", 1}, quantity{"pot", 2})
			requireFault(t, s.Reserve(s.ctx, r), fault.Declined, "out_of_stock")
			require.Empty(t, s.reserved(t))
			require.Len(t, s.announced(t, r.OrderID), 1)
			requireEvent(t, s, r.OrderID, 1, events.InventoryRejected{OrderID: r.OrderID, Reason: "out_of_stock"})
		})

		t.Run("keeps its no after a restock, and a new key is a new question", func(t *testing.T) {
			s := openFull(t)
			r := s.reservation(quantity{"mug", 1}, quantity{"pot", 2})
			requireFault(t, s.Reserve(s.ctx, r), fault.Declined, "out_of_stock")
			s.adjust(t, "pot", 5)
			requireFault(t, s.Reserve(s.ctx, r), fault.Declined, "out_of_stock")
			require.Empty(t, s.reserved(t))
			require.Equal(t, []string{"inventory.rejected.v1"}, s.announcedTypes(t, r.OrderID))

			r.Key += ":again"
			require.NoError(t, s.Reserve(s.ctx, r))
			require.Equal(t, map[string]int64{"mug": 1, "pot": 2}, s.reserved(t))
		})

		t.Run("adds up the lines of one SKU", func(t *testing.T) {
			s := openFull(t)
			tooMany := s.reservation(quantity{"tea", 3}, quantity{"mug", 1}, quantity{"tea", 3})
			requireFault(t, s.Reserve(s.ctx, tooMany), fault.Declined, "out_of_stock")
			r := s.reservation(quantity{"tea", 3}, quantity{"mug", 1}, quantity{"tea", 2})
			require.NoError(t, s.Reserve(s.ctx, r))
			require.Equal(t, map[string]int64{"mug": 1, "tea": 5}, s.reserved(t))
			requireEvent(t, s, r.OrderID, 1, events.InventoryReserved{OrderID: r.OrderID, Lines: []events.Stock{
				{SKU: "mug", Quantity: 1}, {SKU: "tea", Quantity: 5},
			}})
		})

		t.Run("declines an unknown SKU, and again when it is known by then", func(t *testing.T) {
			s := openFull(t)
			r := s.reservation(quantity{"tea", 1}, quantity{"unicorn", 1})
			requireFault(t, s.Reserve(s.ctx, r), fault.Declined, "unknown_sku")
			require.Empty(t, s.reserved(t))
			require.NoError(t, s.AddStock(s.ctx, []quantity{{"unicorn", 1}}))
			requireFault(t, s.Reserve(s.ctx, r), fault.Declined, "unknown_sku")
			requireEvent(t, s, r.OrderID, 1, events.InventoryRejected{OrderID: r.OrderID, Reason: "unknown_sku"})
		})

		t.Run("refuses what is no reservation and records nothing", func(t *testing.T) {
			s := openFull(t)
			for _, lines := range [][]quantity{
				{{"tea", 0}}, {{"tea", 2}, {"mug", -1}}, {{"tea", math.MaxInt64}, {"tea", 1}},
			} {
				requireFault(t, s.Reserve(s.ctx, s.reservation(lines...)), fault.Invalid, "invalid_quantity")
			}
			r := s.reservation()
			requireFault(t, s.Reserve(s.ctx, r), fault.Invalid, "no_lines")
			require.Empty(t, s.reserved(t))
			r.Lines = []quantity{{"tea", 1}}
			require.NoError(t, s.Reserve(s.ctx, r))
		})

		t.Run("holds a SKU once for an order, under any key", func(t *testing.T) {
			s := openFull(t)
			r := s.reservation(quantity{"tea", 2})
			require.NoError(t, s.Reserve(s.ctx, r))
			other := r
			other.Key += ":again"
			requireFault(t, s.Reserve(s.ctx, other), fault.Conflict, "already_reserved")
			require.Equal(t, map[string]int64{"tea": 2}, s.reserved(t))
			require.NoError(t, s.Release(s.ctx, undo(r)))
			requireFault(t, s.Reserve(s.ctx, other), fault.Conflict, "already_reserved")
			require.Empty(t, s.reserved(t))
		})
	})
}

func TestRelease(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		s := openStore(t, open, quantity{"tea", 5}, quantity{"mug", 5})
		others := s.reservation(quantity{"tea", 1}, quantity{"mug", 2})
		require.NoError(t, s.Reserve(s.ctx, others))
		onlyOthers := map[string]int64{"tea": 1, "mug": 2}

		t.Run("gives back exactly what was held, once", func(t *testing.T) {
			r := s.reservation(quantity{"tea", 2}, quantity{"mug", 3}, quantity{"tea", 1})
			require.NoError(t, s.Reserve(s.ctx, r))
			require.Equal(t, map[string]int64{"tea": 4, "mug": 5}, s.reserved(t))
			for range 2 {
				require.NoError(t, s.Release(s.ctx, undo(r)))
				require.Equal(t, onlyOthers, s.reserved(t))
			}
			require.Len(t, s.announced(t, r.OrderID), 2)
			requireEvent(t, s, r.OrderID, 2, events.InventoryReleased{OrderID: r.OrderID, Lines: []events.Stock{
				{SKU: "mug", Quantity: 3}, {SKU: "tea", Quantity: 3},
			}})

			under := undo(r)
			under.Key += ":again"
			require.NoError(t, s.Release(s.ctx, under))
			require.Equal(t, onlyOthers, s.reserved(t))
			require.Len(t, s.announced(t, r.OrderID), 2, "a release of nothing was announced")
			requireFault(t, s.Reserve(s.ctx, r), fault.Conflict, step.CodeUndone)
			require.Equal(t, onlyOthers, s.reserved(t))
		})

		t.Run("before the reservation refuses it when it comes late", func(t *testing.T) {
			r := s.reservation(quantity{"tea", 1})
			require.NoError(t, s.Release(s.ctx, undo(r)))
			for range 2 {
				requireFault(t, s.Reserve(s.ctx, r), fault.Conflict, step.CodeUndone)
			}
			require.Equal(t, onlyOthers, s.reserved(t))
			require.Empty(t, s.announced(t, r.OrderID))
		})

		t.Run("after a no leaves the no", func(t *testing.T) {
			r := s.reservation(quantity{"tea", 100})
			requireFault(t, s.Reserve(s.ctx, r), fault.Declined, "out_of_stock")
			require.NoError(t, s.Release(s.ctx, undo(r)))
			requireFault(t, s.Reserve(s.ctx, r), fault.Declined, "out_of_stock")
			require.Equal(t, []string{"inventory.rejected.v1"}, s.announcedTypes(t, r.OrderID))
		})

		t.Run("by two at once is announced once", func(t *testing.T) {
			for range 10 {
				r := s.reservation(quantity{"tea", 1}, quantity{"mug", 1})
				require.NoError(t, s.Reserve(s.ctx, r))
				errs := make([]error, 6)
				work := make([]func(int), len(errs))
				for i := range work {
					work[i] = func(i int) {
						release := undo(r)
						release.Key = s.key(release.Key) // as if several undid several attempts
						release.Undoes = s.key(r.Key)
						errs[i] = s.Release(s.ctx, release)
					}
				}
				atOnce(work...)
				for _, err := range errs {
					require.NoError(t, err)
				}
				require.Equal(t, onlyOthers, s.reserved(t))
				require.Equal(t, []string{"inventory.reserved.v1", "inventory.released.v1"}, s.announcedTypes(t, r.OrderID))
			}
		})
	})
}

func TestAdjust(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		s := openStore(t, open, quantity{"tea", 5}, quantity{"pot", 0})
		require.NoError(t, s.Reserve(s.ctx, s.reservation(quantity{"tea", 4})))

		t.Run("changes the count once, through the ledger", func(t *testing.T) {
			a := inventory.Adjustment{Key: s.key("adjust"), SKU: "tea", Change: 3, Note: "found in the cellar"}
			for range 2 {
				level, err := s.Adjust(s.ctx, a)
				require.NoError(t, err)
				require.Equal(t, inventory.Level{SKU: "tea", OnHand: 8, Reserved: 4}, level)
				require.EqualValues(t, 4, level.Available())
			}
			require.Len(t, s.announced(t, "tea"), 1)
			requireEvent(t, s, "tea", 1, events.StockAdjusted{SKU: "tea", Change: 3, OnHand: 8, Note: "found in the cellar"})
		})

		t.Run("leaves what is held, and keeps its no", func(t *testing.T) {
			a := inventory.Adjustment{Key: s.key("adjust"), SKU: "tea", Change: -5}
			_, err := s.Adjust(s.ctx, a)
			requireFault(t, err, fault.Declined, "stock_reserved")
			s.adjust(t, "tea", 10)
			_, err = s.Adjust(s.ctx, a)
			requireFault(t, err, fault.Declined, "stock_reserved")
			s.adjust(t, "tea", -14)
			require.Equal(t, map[string]int64{"tea": 4}, s.reserved(t))
		})

		t.Run("refuses what changes nothing or is not known", func(t *testing.T) {
			_, err := s.Adjust(s.ctx, inventory.Adjustment{Key: s.key("adjust"), SKU: "tea"})
			requireFault(t, err, fault.Invalid, "no_change")
			_, err = s.Adjust(s.ctx, inventory.Adjustment{Key: s.key("adjust"), SKU: "unicorn", Change: 1})
			requireFault(t, err, fault.NotFound, "unknown_sku")
		})

		t.Run("stock that is counted already is not added again", func(t *testing.T) {
			before, err := s.Levels(s.ctx)
			require.NoError(t, err)
			require.Equal(t, []inventory.Level{{SKU: "pot"}, {SKU: "tea", OnHand: 4, Reserved: 4}}, before)
			require.NoError(t, s.AddStock(s.ctx, []quantity{{"tea", 9}, {"pot", 9}, {"mug", 2}}))
			after, err := s.Levels(s.ctx)
			require.NoError(t, err)
			require.Equal(t, append([]inventory.Level{{SKU: "mug", OnHand: 2}}, before...), after)
			require.Equal(t, map[string]int64{"tea": 4}, s.reserved(t))
		})
	})
}
