package node

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

// An accepted product list has each product once, all of which can be sold, and reads the same when it is written and read again.
func FuzzProducts(f *testing.F) {
	f.Add([]byte(`[{"sku": "MUG", "name": "Mug", "price_minor": 1000, "currency": "EUR", "on_hand": 5}]`))
	f.Add([]byte("\ufeff[\n{\"sku\":\"A\",\"sku\":\"A\"}]"))
	f.Add([]byte(`[null]`))
	f.Add([]byte(`[[]]`))
	f.Add([]byte(`[{"on_hand":-1}`))
	f.Add([]byte(`[] x`))
	f.Fuzz(func(t *testing.T, body []byte) {
		list, err := parseProducts(body)
		if err != nil {
			require.NotContains(t, err.Error(), "\n")
			return
		}
		skus := map[string]bool{}
		var fields []map[string]any
		for _, p := range list {
			require.NoError(t, p.check())
			require.False(t, skus[p.SKU], "%q comes twice", p.SKU)
			skus[p.SKU] = true
			fields = append(fields, map[string]any{
				"sku": p.SKU, "name": p.Name, "price_minor": p.PriceMinor, "currency": p.Currency, "on_hand": p.OnHand,
			})
		}
		if len(list) == 0 {
			return
		}
		written, err := json.Marshal(fields)
		require.NoError(t, err)
		again, err := parseProducts(written)
		require.NoError(t, err)
		for i := range again {
			again[i].Line = list[i].Line
		}
		require.Equal(t, list, again)
	})
}
