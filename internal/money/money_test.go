package money_test

import (
	"math"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/money"
)

func TestStringUsesTheCurrencysDecimals(t *testing.T) {
	t.Parallel()
	for want, m := range map[string]money.Money{
		"30.00 EUR":                 {Minor: 3000, Currency: "EUR"},
		"0.05 EUR":                  {Minor: 5, Currency: "EUR"},
		"-0.05 EUR":                 {Minor: -5, Currency: "EUR"},
		"3000 JPY":                  {Minor: 3000, Currency: "JPY"},
		"3.000 KWD":                 {Minor: 3000, Currency: "KWD"},
		"-92233720368547758.08 EUR": {Minor: math.MinInt64, Currency: "EUR"},
	} {
		require.Equal(t, want, m.String())
	}
}

func TestAddRefusesTwoCurrencies(t *testing.T) {
	t.Parallel()
	_, err := money.Money{Minor: 1, Currency: "EUR"}.Add(money.Money{Minor: 1, Currency: "USD"})
	require.Equal(t, "mixed_currencies", fault.CodeOf(err))
}

func TestNewRefusesUnknownCurrency(t *testing.T) {
	t.Parallel()
	_, err := money.New(1, "XXX")
	require.Equal(t, fault.Invalid, fault.KindOf(err))
}

// The arithmetic agrees with unbounded integers, or says that it cannot.
func TestArithmeticIsExactOrRefused(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a := rapid.Int64Min(0).Draw(t, "a")
		b := rapid.Int64Min(0).Draw(t, "b")
		max := big.NewInt(math.MaxInt64)

		sum, err := money.Money{Minor: a, Currency: "EUR"}.Add(money.Money{Minor: b, Currency: "EUR"})
		exact := new(big.Int).Add(big.NewInt(a), big.NewInt(b))
		require.Equal(t, exact.Cmp(max) > 0, err != nil)
		if err == nil {
			require.Equal(t, exact.Int64(), sum.Minor)
		}

		product, err := money.Money{Minor: a, Currency: "EUR"}.Times(b)
		exact.Mul(big.NewInt(a), big.NewInt(b))
		require.Equal(t, exact.Cmp(max) > 0, err != nil)
		if err == nil {
			require.Equal(t, exact.Int64(), product.Minor)
		}
	})
}
