package orders_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/orderly/events"
	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/orders"
	"example.com/orderly/internal/testenv"
)

func TestPlaceRefusesWhatCannotBeAnOrder(t *testing.T) {
	t.Parallel()
	type placement = orders.Placement
	lines := func(lines ...orders.Wanted) func(*placement) {
		return func(p *placement) { p.Lines = lines }
	}
	key := func(key string) func(*placement) { return func(p *placement) { p.IdempotencyKey = key } }
	method := func(method string) func(*placement) { return func(p *placement) { p.PaymentMethod = method } }
	tea := orders.Wanted{SKU: "tea", Quantity: 1}
	refusals := []struct {
		name, code string
		change     func(*placement)
	}{
		{"no key", "idempotency_key_invalid", key("")},
		{"a key of 256 characters", "idempotency_key_invalid", key(strings.Repeat("k", 256))},
		{"a key with a space", "idempotency_key_invalid", key("my key")},
		{"a key with a line break at its end", "idempotency_key_invalid", key("key\n")},
		{"a key beyond ASCII", "idempotency_key_invalid", key("schlüssel")},
		{"no payment method", "payment_method_invalid", method("")},
		{"a card number", "payment_method_invalid", method("4242424242424242")},
		{"a card number in a token's clothes", "payment_method_invalid", method("pm_4242 4242 4242 4242")},
		{"a card number behind a token's prefix", "payment_method_invalid", method("pm_4242424242424242")},
		{"a card number with underscores", "payment_method_invalid", method("pm_4242_4242_4242_4242")},
		{"no lines", "no_lines", lines()},
		{"101 lines", "too_many_lines", lines(slices.Repeat([]orders.Wanted{tea}, 101)...)},
		{"a quantity of 0", "invalid_quantity", lines(tea, orders.Wanted{SKU: "mug"})},
		{"a negative quantity", "invalid_quantity", lines(tea, orders.Wanted{SKU: "mug", Quantity: -1})},
		{"a quantity of 10001", "invalid_quantity", lines(orders.Wanted{SKU: "tea", Quantity: 10_001})},
		{"an unknown SKU after a known one", "unknown_sku", lines(tea, orders.Wanted{SKU: "unicorn", Quantity: 1})},
		{"no SKU", "invalid_sku", lines(orders.Wanted{Quantity: 1})},
		{"a SKU no database can store", "invalid_sku", lines(orders.Wanted{SKU: "te\x00a", Quantity: 1})},
		{"a SKU that is not UTF-8", "invalid_sku", lines(orders.Wanted{SKU: "te\xffa", Quantity: 1})},
		{"a SKU of 201 characters", "invalid_sku", lines(tea, orders.Wanted{SKU: strings.Repeat("é", 201), Quantity: 1})},
		{"an unknown SKU of 200 characters", "unknown_sku", lines(orders.Wanted{SKU: strings.Repeat("é", 200), Quantity: 1})},
		{"two currencies", "mixed_currencies", lines(tea, orders.Wanted{SKU: "gum", Quantity: 1})},
		{"a line that overflows", "amount_overflow", lines(orders.Wanted{SKU: "isle", Quantity: 2})},
		{"a sum that overflows", "amount_overflow", lines(orders.Wanted{SKU: "isle", Quantity: 1}, orders.Wanted{SKU: "isle", Quantity: 1})},
	}
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		s := openShop(t, open)
		before := s.rows(t)
		for _, refusal := range refusals {
			t.Run(refusal.name+" is "+refusal.code, func(t *testing.T) {
				p := s.anew()
				refusal.change(&p)
				_, repeated, err := s.Place(s.ctx, p)
				requireFault(t, err, fault.Invalid, refusal.code)
				require.False(t, repeated)
				require.Equal(t, before, s.rows(t), "something was stored")
			})
		}

		t.Run("the largest total is taken, and more is not", func(t *testing.T) {
			order, _, err := s.Place(s.ctx, s.anew(orders.Wanted{SKU: "isle", Quantity: 1}))
			require.NoError(t, err)
			require.EqualValues(t, 9_007_199_254_740_991, order.Total.Minor)
			_, _, err = s.Place(s.ctx, s.anew(orders.Wanted{SKU: "isle", Quantity: 1}, tea))
			requireFault(t, err, fault.Invalid, "amount_overflow")
		})

		t.Run("a refused request leaves its key free", func(t *testing.T) {
			p := s.anew(orders.Wanted{SKU: "unicorn", Quantity: 1})
			_, _, err := s.Place(s.ctx, p)
			requireFault(t, err, fault.Invalid, "unknown_sku")
			p.Lines[0].SKU = "tea"
			_, repeated, err := s.Place(s.ctx, p)
			require.NoError(t, err)
			require.False(t, repeated)
		})

		t.Run("the largest order is accepted", func(t *testing.T) {
			p := s.anew(slices.Repeat([]orders.Wanted{{SKU: "tea", Quantity: 10_000}}, 100)...)
			p.IdempotencyKey = strings.Repeat("~", 255)
			order, _, err := s.Place(s.ctx, p)
			require.NoError(t, err)
			require.Equal(t, "10000000.00 EUR", order.Total.String())
		})
	})
}

func TestPlaceStoresWhatWasOrdered(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		s := openShop(t, open)

		t.Run("three lines of 10.00 make 30.00", func(t *testing.T) {
			before := s.rows(t)
			p := s.anew(orders.Wanted{SKU: "tea", Quantity: 1}, orders.Wanted{SKU: "pot", Quantity: 1}, orders.Wanted{SKU: "mug", Quantity: 1})
			order, repeated, err := s.Place(s.ctx, p)
			require.NoError(t, err)
			require.False(t, repeated)
			require.Equal(t, "30.00 EUR", order.Total.String())
			require.Equal(t, orders.Order{
				ID: order.ID, CustomerID: customer, State: orders.Pending, Total: order.Total, PaymentMethod: "pm_card_visa",
				CreatedAt: opened, UpdatedAt: opened,
				Lines: []orders.Line{
					{SKU: "tea", Name: "Green tea", Quantity: 1, UnitPriceMinor: 10_00},
					{SKU: "pot", Name: "Tea pot", Quantity: 1, UnitPriceMinor: 10_00},
					{SKU: "mug", Name: "Mug", Quantity: 1, UnitPriceMinor: 10_00},
				},
			}, order)
			require.Equal(t, order, s.get(t, order.ID))
			requireLast(t, s, order.ID, 1, events.OrderCreated{
				OrderID: order.ID, CustomerID: customer, TotalMinor: 30_00, Currency: "EUR",
				Lines: []events.Line{
					{SKU: "tea", Quantity: 1, UnitPriceMinor: 10_00},
					{SKU: "pot", Quantity: 1, UnitPriceMinor: 10_00},
					{SKU: "mug", Quantity: 1, UnitPriceMinor: 10_00},
				},
			})
			for table, more := range map[string]int64{
				"orders": 1, "order_lines": 3, "idempotency_keys": 1, "outbox": 1, "outbox_sequences": 1,
			} {
				before[table] += more
			}
			require.Equal(t, before, s.rows(t))
		})

		t.Run("two lines of one SKU stay two lines", func(t *testing.T) {
			order, _, err := s.Place(s.ctx, s.anew(orders.Wanted{SKU: "tea", Quantity: 2}, orders.Wanted{SKU: "tea", Quantity: 3}))
			require.NoError(t, err)
			require.Len(t, order.Lines, 2)
			require.EqualValues(t, 50_00, order.Total.Minor)
		})
	})
}

// Whichever table cannot be written, nothing is left in the others.
func TestPlaceIsOneCommit(t *testing.T) {
	t.Parallel()
	testenv.EachEngine(t, func(t *testing.T, open testenv.Open) {
		s := openShop(t, open)
		before := s.rows(t)
		for _, table := range []string{"idempotency_keys", "orders", "order_lines", "outbox_sequences", "outbox"} {
			t.Run("without "+table+" nothing is stored", func(t *testing.T) {
				p := s.anew()
				s.exec(t, `ALTER TABLE `+table+` RENAME TO elsewhere`)
				_, _, err := s.Place(s.ctx, p)
				require.Error(t, err)
				s.exec(t, `ALTER TABLE elsewhere RENAME TO `+table)
				require.Equal(t, before, s.rows(t))
			})
		}
	})
}
