// Package money is an amount in one currency: whole minor units and an ISO 4217 code, never a float.
package money

import (
	"fmt"
	"math"
	"math/bits"
	"strings"

	"example.com/orderly/events"
	"example.com/orderly/internal/fault"
)

// Money is an amount of one currency.
type Money struct {
	Minor    int64
	Currency string
}

// New returns an amount in minor units; Invalid "unknown_currency" for a currency that is not in events.CurrencyDigits.
func New(minor int64, currency string) (Money, error) {
	if _, ok := events.CurrencyDigits(currency); !ok {
		return Money{}, fault.New(fault.Invalid, "unknown_currency", "currency %q is not one we trade in", currency)
	}
	return Money{Minor: minor, Currency: currency}, nil
}

// Add returns m + other: Invalid "mixed_currencies" across currencies, "amount_overflow" beyond int64.
func (m Money) Add(other Money) (Money, error) {
	if m.Currency != other.Currency {
		return Money{}, fault.New(fault.Invalid, "mixed_currencies", "%s and %s cannot be added", m.Currency, other.Currency)
	}
	if (other.Minor > 0 && m.Minor > math.MaxInt64-other.Minor) || (other.Minor < 0 && m.Minor < math.MinInt64-other.Minor) {
		return Money{}, overflow()
	}
	return Money{Minor: m.Minor + other.Minor, Currency: m.Currency}, nil
}

// Times returns m multiplied by a count that is not negative: Invalid "amount_overflow" beyond int64, "negative_amount" for a
// negative factor on either side, because nothing here is priced below zero.
func (m Money) Times(count int64) (Money, error) {
	if count < 0 || m.Minor < 0 {
		return Money{}, fault.New(fault.Invalid, "negative_amount", "%d times %d is not a price", m.Minor, count)
	}
	high, low := bits.Mul64(uint64(m.Minor), uint64(count))
	if high != 0 || low > math.MaxInt64 {
		return Money{}, overflow()
	}
	return Money{Minor: int64(low), Currency: m.Currency}, nil
}

// String prints the amount for people, with the currency's own number of decimals: "30.00 EUR", "30 JPY".
func (m Money) String() string {
	digits, _ := events.CurrencyDigits(m.Currency)
	sign, abs := "", uint64(m.Minor)
	if m.Minor < 0 {
		sign, abs = "-", -abs
	}
	text := fmt.Sprintf("%0*d", digits+1, abs)
	whole, fraction := text[:len(text)-digits], text[len(text)-digits:]
	return strings.TrimSuffix(sign+whole+"."+fraction, ".") + " " + m.Currency
}

func overflow() error {
	return fault.New(fault.Invalid, "amount_overflow", "the amount is larger than can be counted")
}
