package node_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/orderly/internal/node"
	"example.com/orderly/internal/node/config"
)

const mug = `{"sku": "MUG", "name": "Mug", "price_minor": 1000, "currency": "EUR", "on_hand": 5}`

func listed(t *testing.T, text string) config.Config {
	t.Helper()
	file := filepath.Join(t.TempDir(), "products.json")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return config.Config{Data: t.TempDir(), Products: file}
}

// A product list that says something else than it seems to is refused as a whole, with the line and the product.
func TestAProductListIsTakenByTheWord(t *testing.T) {
	t.Parallel()
	change := func(from, to string) string {
		return "[\n" + mug + ",\n" + strings.Replace(strings.Replace(mug, "MUG", "CAP", 1), from, to, 1) + "\n]"
	}
	for name, c := range map[string]struct {
		list string
		says []string
	}{
		"quantity for on_hand":     {change("on_hand", "quantity"), []string{"line 3", `"CAP"`, `no field "quantity"`, "on_hand is missing"}},
		"another case":             {change("on_hand", "On_Hand"), []string{"line 3", `"CAP"`, "On_Hand"}},
		"one field too many":       {change(`"on_hand"`, `"colour": "blue", "on_hand"`), []string{"line 3", `"CAP"`, `"colour"`}},
		"the SKU comes after it":   {"[\n{\"quantity\": 1, \"sku\": \"CAP\"}]", []string{"line 2", `"CAP"`, "quantity", "name is missing"}},
		"no price":                 {change(`"price_minor": 1000, `, ""), []string{"line 3", `"CAP"`, "price_minor is missing"}},
		"no SKU":                   {change(`"sku": "CAP", `, ""), []string{"line 3", "sku is missing"}},
		"a field twice":            {change(`"on_hand"`, `"on_hand": 1, "on_hand"`), []string{"line 3", `"CAP"`, "on_hand is there twice"}},
		"null":                     {change(`"on_hand": 5`, `"on_hand": null`), []string{"line 3", `"CAP"`, "on_hand", "null"}},
		"a price as text":          {change("1000", `"1000"`), []string{"line 3", `"CAP"`, "price_minor"}},
		"a price with a point":     {change("1000", "10.50"), []string{"line 3", `"CAP"`, "price_minor", "10.50"}},
		"a price of nothing":       {change("1000", "0"), []string{"line 3", `"CAP"`, "price_minor", "minor units"}},
		"a price below zero":       {change("1000", "-1"), []string{"line 3", `"CAP"`, "price_minor"}},
		"more than can be counted": {change("1000", "10000000000000000000"), []string{"line 3", `"CAP"`, "price_minor"}},
		"more than can be read":    {change("1000", "9007199254740992"), []string{"line 3", `"CAP"`, "price_minor", "9007199254740991"}},
		"a SKU of 201 characters":  {change("CAP", strings.Repeat("C", 201)), []string{"line 3", "200 characters"}},
		"a line break in a SKU":    {change("CAP", `C\nAP`), []string{"line 3", "control character"}},
		"less than nothing":        {change(`"on_hand": 5`, `"on_hand": -5`), []string{"line 3", `"CAP"`, "on_hand"}},
		"a currency in words":      {change("EUR", "euro"), []string{"line 3", `"CAP"`, "currency", "euro"}},
		"a currency in small":      {change("EUR", "eur"), []string{"line 3", `"CAP"`, "currency"}},
		"an empty SKU":             {change("CAP", ""), []string{"line 3", "empty"}},
		"an empty name":            {change("Mug", ""), []string{"line 3", `"CAP"`, "empty"}},
		"a NUL":                    {change("Mug", `Mug\u0000`), []string{"line 3", `"CAP"`, "NUL"}},
		"a product twice":          {"[\n" + mug + ",\n\n" + mug + "]", []string{"line 4", `"MUG"`, "line 2"}},
		"a comma too many":         {"[\n" + mug + ",\n]", []string{"line 3"}},
		"no end":                   {"[\n" + mug, []string{"line 2", "no end"}},
		"two lists":                {"[" + mug + "]\n[]", []string{"line 2", "follows"}},
		"one product, no list":     {mug, []string{"line 1", "list"}},
		"a number among them":      {"[\n7]", []string{"line 2", "7"}},
		"an empty file":            {"", []string{"line 1", "list"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := listed(t, c.list)
			err := node.Migrate(t.Context(), cfg, func(string) {})
			require.ErrorContains(t, err, "ORDERLY_PRODUCTS")
			require.NotContains(t, err.Error(), "\n")
			for _, part := range c.says {
				require.ErrorContains(t, err, part)
			}
			made, err := os.ReadDir(cfg.Data)
			require.NoError(t, err)
			require.Empty(t, made, "something was changed before the list was refused")
		})
	}
	for _, sound := range []string{"[]", "[" + mug + "]\n", "\ufeff[" + mug + "]", change(`"on_hand": 5`, `"on_hand": 0`), change("EUR", "JPY")} {
		_, err := node.Products(listed(t, sound))
		require.NoError(t, err, sound)
	}
}

// Each import says of each line what became of it. What is there is never changed by a list.
func TestASecondImportSaysWhatItLeftAlone(t *testing.T) {
	t.Parallel()
	cfg := listed(t, "[\n"+mug+"\n]")
	load := func(list string) (said []string) {
		require.NoError(t, os.WriteFile(cfg.Products, []byte(list), 0o600))
		require.NoError(t, node.Migrate(t.Context(), cfg, func(line string) {
			if strings.HasPrefix(line, "Product list") {
				said = append(said, line)
			}
		}))
		return said
	}
	require.Equal(t, []string{"Product list, line 2: MUG added."}, load("[\n"+mug+"\n]"))
	require.Equal(t, []string{"Product list, line 2: MUG left alone."}, load("[\n"+mug+"\n]"))
	other := `{"sku": "MUG", "name": "Cup", "price_minor": 900, "currency": "USD", "on_hand": 7}`
	added := strings.Replace(mug, "MUG", "CAP", 1)
	const differs = "left alone, differs: name Mug here, Cup in the file; price 1000 here, 900 in the file; currency EUR here, USD in the file; " +
		"on hand 5 here, 7 in the file."
	for range 2 {
		require.Equal(t, "Product list, line 2: MUG "+differs, load("[\n" + other + ",\n" + added + "\n]")[0])
	}
	require.Equal(t, []string{"Product list, line 1: CAP left alone."}, load("["+added+"]"))
}
